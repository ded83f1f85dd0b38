// A supervisor whose serving process is in a run without an end, for a spec that kills the supervisor. Arguments: a folder, and
// `draining` where the process is told to stop first. Prints the number of the serving process.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@weir/platform/telemetry';
import { hostilePackages } from '@weir/testing';
import { readFlightRecord } from '../serving/versions/flight-record.ts';
import { servingSettings } from './serving-child.fixture.ts';
import { ServingChild } from './serving-child.ts';

const VERSION = 'endless';
const MEMORY_BYTES = 4 * 2 ** 30;
/** Until the network, whose load was seen to begin, is in its run; and until a draining process has nothing left to do but to end. */
const SETTLED_MS = 1_000;
const LONG_MS = 60_000;

const [directory = '', state = ''] = process.argv.slice(2);
const flightFile = path.join(directory, 'flight');
const folder = path.join(directory, VERSION);
await mkdir(folder);
const endless = hostilePackages().find(({ name }) => name === 'endless-loop');
const files = [];
for (const [name, content] of endless?.files ?? []) {
  await writeFile(path.join(folder, name), content);
  files.push({ path: name, sha256: '0'.repeat(64), sizeBytes: content.length });
}
const child = new ServingChild({
  settings: await servingSettings(flightFile),
  memoryLimitBytes: MEMORY_BYTES,
  account: null,
  environment: process.env,
  logger: createLogger({ service: 'worker', instanceId: 'worker-1', level: 'fatal' }),
  onMessage: () => undefined,
  onExit: () => undefined,
});
await child.listening();
const version = {
  versionId: VERSION,
  modelId: VERSION,
  model: VERSION,
  version: '1',
  ownerTenantId: 'platform',
  task: 'tensors',
  files,
  directory: folder,
} as const;
child.send({ kind: 'place', version });
child.send({ kind: 'load', versionId: VERSION });
while (readFlightRecord(flightFile).length === 0) await sleep(20);
await sleep(SETTLED_MS);
if (state === 'draining') {
  child.send({ kind: 'drain', timeoutMs: LONG_MS });
  await sleep(SETTLED_MS);
}
process.stdout.write(`${child.pid}\n`);
