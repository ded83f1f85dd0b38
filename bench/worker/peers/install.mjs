import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

// `npm run bench:peers`: the servers that the worker is measured beside, from PyPI into a virtual environment of their own.

const directory = fileURLToPath(new URL('../../../.weir/bench-peers', import.meta.url));
const requirements = fileURLToPath(new URL('requirements.txt', import.meta.url));

run('python3', ['-m', 'venv', directory]);
run(`${directory}/bin/python`, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', requirements]);

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (status === 0) return;
  process.stderr.write(
    `${command} failed${error === undefined ? '' : `: ${error.message}`}. The peers need Python 3.11 with venv, and PyPI.\n`,
  );
  process.exit(1);
}
