// Locks a directory, reports it, and holds the lock until it is killed.
import { claimDirectory } from './directory-claim.ts';

const [directory = ''] = process.argv.slice(2);
const claim = claimDirectory(directory);
process.on('disconnect', () => claim.release());
process.send?.('locked');
