import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SettingsError } from '@weir/platform/config';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretFolder } from './secret-folder.ts';

let directory: string;
const write = async (name: string, content: string, mode = 0o600): Promise<void> => {
  await writeFile(join(directory, name), content);
  // The mode of `writeFile` is under the umask.
  await chmod(join(directory, name), mode);
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-secrets-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('a secret of a worker', () => {
  it('is the text of its file without the line break behind it, also where the file is a link, as Kubernetes makes it', async () => {
    await write('openai', 'sk-abc_123\n', 0o640);
    await symlink(join(directory, 'openai'), join(directory, 'linked'));
    const folder = new SecretFolder(directory);
    await folder.open();
    expect([await folder.read('openai'), await folder.read('linked')]).toEqual(['sk-abc_123', 'sk-abc_123']);
  });

  it('is read anew each time: one that was replaced is used at once', async () => {
    const folder = new SecretFolder(directory);
    await write('turning', 'old');
    expect(await folder.read('turning')).toBe('old');
    await write('turning', 'new');
    expect(await folder.read('turning')).toBe('new');
  });

  it.each([
    ['that everyone may read', 'open', 'sk-visible', 0o604],
    ['that everyone may write', 'writable', 'sk-visible', 0o602],
    ['that is empty', 'empty', ' \n', 0o600],
    ['of several lines, which no header holds', 'lines', 'sk-visible\nX-Evil: 1', 0o600],
    ['that is too large', 'large', 'x'.repeat(20_000), 0o600],
  ])('%s is not used, and the error says neither it nor where it is', async (_, name, content, mode) => {
    await write(name, content, mode);
    const error = await new SecretFolder(directory).read(name).catch((thrown: unknown) => String(thrown));
    expect(error).toContain(name);
    expect(error).not.toMatch(/sk-visible|xxx|\/tmp/);
    expect(error).not.toContain(directory);
  });

  it('that is not there, or is no file, is missed by its name', async () => {
    await mkdir(join(directory, 'folder'));
    for (const name of ['none', 'folder']) await expect(new SecretFolder(directory).read(name)).rejects.toThrow(`none named ${name}`);
    await expect(new SecretFolder(undefined).read('any')).rejects.toThrow('WEIR_WORKER_SECRETS_DIR');
  });

  it.each([['../openai'], ['a/b'], ['.hidden'], ['']])('named %j is never looked for', async (name) => {
    await expect(new SecretFolder(directory).read(name)).rejects.toThrow();
  });

  it('has a folder, or the worker does not start', async () => {
    await expect(new SecretFolder(join(directory, 'not-there')).open()).rejects.toThrow(SettingsError);
    await expect(new SecretFolder(join(directory, 'openai')).open()).rejects.toThrow(SettingsError);
    await expect(new SecretFolder(undefined).open()).resolves.toBeUndefined();
  });
});
