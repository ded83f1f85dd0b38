import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeChunk, segmentSequence } from './segment.ts';
import { SpoolWriter, type SpoolWriterOptions } from './spool-writer.ts';

const RECOVERING_DISK_PROCESS = fileURLToPath(new URL('./recovering-disk-process.fixture.ts', import.meta.url));
const FULL_DISK_PROCESS = fileURLToPath(new URL('./full-disk-process.fixture.ts', import.meta.url));
/** Largest file of the process whose disk is full, in blocks of 512 bytes. */
const FILE_SIZE_BLOCKS = 40;

let directory: string;
const opened: SpoolWriter[] = [];

function aWriter(options: Partial<SpoolWriterOptions> = {}): SpoolWriter {
  const writer = new SpoolWriter({
    directory,
    firstSequence: 1,
    sync: 'write',
    segmentBytes: 1_048_576,
    maxPendingBytes: 1_048_576,
    callsUnderWay: () => 0,
    onWritten: () => undefined,
    ...options,
  });
  opened.push(writer);
  return writer;
}

const aRecord = (n: number) => ({ key: 'acme', value: `{"n":${n}}` });

/** Flags with which this process has the segment open, as Linux reports them. */
async function openFlagsOfSegment(): Promise<number> {
  for (const fd of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${fd}`).catch(() => '');
    if (!target.startsWith(directory) || segmentSequence(path.basename(target)) === null) continue;
    const flags = /^flags:\s*(\d+)$/m.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return Number.parseInt(flags ?? '', 8);
  }
  throw new Error('the segment is not open');
}

/** Report of a process whose files cannot grow beyond a limit. */
async function reportOf(script: string): Promise<unknown> {
  const command = `ulimit -f ${FILE_SIZE_BLOCKS}; exec "$0" --conditions=@weir/source --disable-warning=ExperimentalWarning "$1" "$2"`;
  const child = spawn('sh', ['-c', command, process.execPath, script, directory], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [report] = (await once(child, 'message')) as [unknown];
  child.kill('SIGKILL');
  await once(child, 'exit');
  return report;
}

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-writer-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((writer) => writer.close()));
  await rm(directory, { recursive: true, force: true });
});

describe('a spool writer', () => {
  test('synchronises each group to the disk with the policy commit, and only with it', async () => {
    const durable = aWriter({ sync: 'commit' });
    await durable.append(aRecord(1));
    expect((await openFlagsOfSegment()) & constants.O_DSYNC).toBe(constants.O_DSYNC);
    await durable.close();
    const buffered = aWriter({ sync: 'write', firstSequence: 2 });
    await buffered.append(aRecord(2));
    expect((await openFlagsOfSegment()) & constants.O_DSYNC).toBe(0);
  });

  test('bounds what waits for a slow disk: what is beyond is refused, and accepted again when there is room', async () => {
    const writer = aWriter({ maxPendingBytes: 100 });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => writer.append(aRecord(n))));
    const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(accepted).toBe(4);
    expect(outcomes.slice(accepted)).toEqual(
      outcomes
        .slice(accepted)
        .map(() => ({ status: 'rejected', reason: expect.objectContaining({ code: 'usage.unrecordable' }) as unknown })),
    );
    await expect(writer.append(aRecord(99))).resolves.toBeUndefined();
  });

  test('takes a group back that a full disk has written half, so that no refused call is shipped and billed', async () => {
    const outcomes = (await reportOf(FULL_DISK_PROCESS)) as Record<string, 'durable' | 'refused'>;
    const idsThat = (outcome: string): string[] => Object.keys(outcomes).filter((id) => outcomes[id] === outcome);
    const files = (await readdir(directory)).filter((file) => segmentSequence(file) !== null).sort();
    const contents = await Promise.all(files.map((file) => readFile(path.join(directory, file))));
    const written = contents.flatMap((content) =>
      decodeChunk(content).records.map(({ value }) => (JSON.parse(value) as { id: string }).id),
    );
    expect(idsThat('refused').length).toBeGreaterThan(0);
    expect(idsThat('durable').length).toBeGreaterThan(8);
    expect(written.sort()).toEqual(idsThat('durable').sort());
  });

  test('leaves nothing that was shipped on a disk that refused a write, and goes on when there is room again', async () => {
    expect(await reportOf(RECOVERING_DISK_PROCESS)).toEqual({
      outcomes: ['durable', 'refused', 'refused', 'durable'],
      hasFailed: true,
      left: [],
      hasFailedAfterwards: false,
      failedWrites: 2,
    });
  });
});
