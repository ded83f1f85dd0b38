import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { secretName } from '@weir/contracts';
import { SettingsError } from '@weir/platform/config';

const MAX_SECRET_BYTES = 16_384;
/** Everyone else on the machine may read, write or use it. */
const OTHERS = 0o007;
/** What may stand in a header. */
const HEADER_TEXT = /^[\x21-\x7e]+$/;

/** Secrets that other servers ask for, each in a file of its name. Nothing of them is logged, announced or said in an error. */
export class SecretFolder {
  readonly #directory: string | undefined;

  /** @param directory undefined: there are none */
  constructor(directory: string | undefined) {
    this.#directory = directory;
  }

  /** @throws SettingsError when the folder is not there */
  async open(): Promise<void> {
    if (this.#directory === undefined) return;
    const isDirectory = await stat(this.#directory).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isDirectory) throw new SettingsError(['WEIR_WORKER_SECRETS_DIR: must be a folder that this process can read']);
  }

  /**
   * Reads a secret anew, so that one that was replaced is used at once.
   *
   * @throws Error that says what to do, without the path and the content
   */
  async read(name: string): Promise<string> {
    if (this.#directory === undefined)
      throw new Error(`The worker has no folder of secrets (WEIR_WORKER_SECRETS_DIR), so none named ${name}.`);
    const file = join(this.#directory, secretName.parse(name));
    const found = await stat(file).catch(() => null);
    if (found === null || !found.isFile()) throw new Error(`The worker's folder of secrets has none named ${name}.`);
    if ((found.mode & OTHERS) !== 0)
      throw new Error(`The worker's secret ${name} may be read by everyone on its machine: take that away (chmod o= on its file).`);
    if (found.size > MAX_SECRET_BYTES) throw new Error(`The worker's secret ${name} is larger than ${MAX_SECRET_BYTES} bytes.`);
    const secret = await readFile(file, 'utf8').catch(() => null);
    if (secret === null) throw new Error(`The worker may not read its secret ${name}.`);
    const trimmed = secret.trim();
    if (!HEADER_TEXT.test(trimmed)) throw new Error(`The worker's secret ${name} is no single word of visible ASCII characters.`);
    return trimmed;
  }
}
