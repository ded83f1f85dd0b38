import path from 'node:path';
import { readEnvironment } from '@weir/platform/config';
import { runCommandLine } from './commands/command-line.ts';

await runCommandLine(process.argv, { root: path.resolve(import.meta.dirname, '../../..'), environment: readEnvironment() });
