import { describe, expect, test } from 'vitest';
import { explain } from './failures.ts';

describe('what stops PostgreSQL is said in one sentence that names the remedy', () => {
  test.each([
    [
      'initdb: error: could not write file "/data/base/1/2": No space left on device',
      'The disk that holds /data is full: free some space and start again.',
    ],
    ['EROFS: read-only file system, mkdir', '/data is on a read-only file system: set WEIR_HOME to a folder that can be written.'],
    [
      'FATAL:  could not open file "PG_VERSION": Permission denied',
      '/data cannot be written by this user: change its owner, or set WEIR_HOME to another folder.',
    ],
    [
      'LOG:  could not bind IPv4 address "127.0.0.1": Address already in use',
      'Port 5433 on 127.0.0.1, wanted for PostgreSQL, is in use by another program.',
    ],
    ['FATAL:  could not create shared memory segment: Cannot allocate memory', 'There is not enough memory to start PostgreSQL.'],
  ])('%s', (said, sentence) => {
    expect(explain(new Error(said), '/data', 5433).message).toBe(sentence);
  });

  test('what is not known is passed on as it is', () => {
    const failure = new Error('FATAL: something new');
    expect(explain(failure, '/data')).toBe(failure);
  });
});
