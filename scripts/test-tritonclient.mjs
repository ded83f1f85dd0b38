// The test run of `npm run test:tritonclient`: Triton's Python client, fetched from PyPI into a virtual environment of its own,
// against the platform as a user runs it. The last line is `N passed, N failed`.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '..');
const suite = path.join(root, 'tests/tritonclient');
/** Some 20 wheels, 60 MB; a slow network gets its time. */
const FETCH_TIMEOUT_MS = 600_000;
const SUITE_TIMEOUT_MS = 180_000;

let counts;
try {
  const python = await pythonWithClient();
  counts = await againstPlatform(python);
} catch (error) {
  process.stdout.write(`${error.message}\n`);
}
process.stdout.write(`\n${counts ?? '0 passed, 1 failed'}\n`);
process.exitCode = counts?.endsWith(', 0 failed') === true ? 0 : 1;

/** Python of a virtual environment that has the client; made once for each state of requirements.txt. */
async function pythonWithClient() {
  const requirements = path.join(suite, 'requirements.txt');
  const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const folder = path.join(root, '.weir/tritonclient', version);
  const done = path.join(folder, 'complete');
  const python = path.join(folder, 'bin/python');
  if (existsSync(done)) return python;
  // What a fetch that was cut off left behind is not taken for one that is done.
  rmSync(folder, { recursive: true, force: true });
  try {
    await run('python3', ['-m', 'venv', folder]);
  } catch (error) {
    throw new Error('Install Python 3.10 or later with its module venv (such as python3-venv): the suite runs a Python client.', {
      cause: error,
    });
  }
  try {
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements], {
      timeout: FETCH_TIMEOUT_MS,
    });
  } catch (error) {
    throw new Error('pip could not fetch tritonclient; check the network and the settings of pip.', { cause: error });
  }
  await run(python, ['-c', `open(${JSON.stringify(done)}, 'w').close()`]);
  return python;
}

/** Runs the suite. @returns its last line */
async function againstPlatform(python) {
  const { RunningPlatform } = await import(path.join(root, 'tests/harness/running-platform.ts'));
  const platform = await RunningPlatform.start();
  try {
    const { WEIR_API_KEY, WEIR_OPERATOR_EMAIL, WEIR_OPERATOR_PASSWORD } = platform.demo;
    const signedIn = await fetch(`${platform.url}/auth/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: WEIR_OPERATOR_EMAIL, password: WEIR_OPERATOR_PASSWORD }),
    });
    const { token } = await signedIn.json();
    const client = spawn(python, [path.join(suite, 'test_tritonclient.py')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: SUITE_TIMEOUT_MS,
      env: {
        PATH: process.env.PATH,
        WEIR_HTTP_ADDRESS: `127.0.0.1:${platform.port}`,
        WEIR_GRPC_ADDRESS: platform.grpcAddress,
        WEIR_API_KEY,
        WEIR_OPERATOR_TOKEN: token,
        // The folder that holds .weir.
        WEIR_FOLDER: path.dirname(platform.home),
        WEIR_DOCUMENT: path.join(root, 'docs/open-inference.md'),
      },
    });
    let output = '';
    client.stdout.on('data', (chunk) => (output += chunk));
    await new Promise((resolve, reject) => client.once('error', reject).once('close', resolve));
    return /^\d+ passed, \d+ failed$/m.exec(output)?.[0];
  } finally {
    await platform.stop();
  }
}
