// The process of await-postgres.int.spec.ts whose launcher ends while it waits for a database that never starts.
import { createLogger } from '../telemetry/index.ts';
import { awaitPostgres } from './await-postgres.ts';

const [url = '', port = ''] = process.argv.slice(2);
await awaitPostgres({
  url,
  host: '127.0.0.1',
  port: Number(port),
  logger: createLogger({ service: 'spec', instanceId: 'spec', level: 'silent' }),
});
