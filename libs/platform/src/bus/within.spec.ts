import { describe, expect, it } from 'vitest';
import { within } from './within.ts';

const never = new Promise<string>(() => {});

describe('a wait with an end', () => {
  it('gives what the work comes to, or its error', async () => {
    expect(await within(60_000, Promise.resolve('done'), () => 'late')).toBe('done');
    await expect(within(60_000, Promise.reject(new Error('broken')), () => 'late')).rejects.toThrow('broken');
  });

  it('gives or throws what lateness means to the caller', async () => {
    expect(await within(1, never, () => 'late')).toBe('late');
    await expect(
      within(1, never, () => {
        throw new Error('no answer');
      }),
    ).rejects.toThrow('no answer');
  });

  it('leaves no error of the work unheard that comes after the end', async () => {
    let fail: (error: Error) => void = () => undefined;
    const work = new Promise<string>((_, reject) => {
      fail = reject;
    });
    expect(await within(1, work, () => 'late')).toBe('late');
    // An unhandled rejection would fail this spec file.
    fail(new Error('broken afterwards'));
    await expect(work).rejects.toThrow('broken afterwards');
  });
});
