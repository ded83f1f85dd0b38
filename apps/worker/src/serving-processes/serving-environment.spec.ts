import { describe, expect, it } from 'vitest';
import { servingEnvironment } from './serving-environment.ts';

describe('the environment of a serving process', () => {
  it('is what is needed to run, of an allow-list, and nothing else', () => {
    const secrets = {
      WEIR_BUS_URL: 'postgres://weir:secret@db',
      WEIR_SIGNING_KEY_FILE: '/keys/worker.json',
      PATH: '/usr/bin',
      HOME: '/root',
    };
    expect(
      servingEnvironment({ ...secrets, NODE_OPTIONS: '--inspect', NODE_COMPILE_CACHE: '/cache', TZ: 'UTC', CUDA_VISIBLE_DEVICES: '1' }),
    ).toEqual({
      ORT_DISABLE_TELEMETRY: '1',
      MALLOC_MMAP_THRESHOLD_: '1048576',
      TZ: 'UTC',
      CUDA_VISIBLE_DEVICES: '1',
    });
  });
});
