// Makes a fresh clone runnable, and does nothing (in well under a second) when all is up to date.
// Runs on any Node.js from 20 on, before anything is installed: built-in modules only.
//
//   node scripts/bootstrap.mjs             Node.js 24, packages, Prisma clients, compiled code
//   node scripts/bootstrap.mjs --no-build  all but the compiled code: for npm test, which reports the compiler's errors itself
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { takeLock } from './setup/lock.mjs';
import { runTool, stopToolsOnSignals, tellOfTools } from './setup/processes.mjs';
import { withProgress } from './setup/progress.mjs';
import { Stamps, digestOf, filesBelow } from './setup/stamps.mjs';
import { unsupportedSystem } from './setup/system.mjs';

const NODE_MAJOR = 24;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const buildFolder = path.join('.weir', 'build');
/** Read by scripts/node.sh: which Node.js to run everything under. */
const nodeFile = path.join(buildFolder, 'node');
const stamps = new Stamps(buildFolder);

let letGo = () => undefined;
try {
  process.chdir(root);
  const refusal = unsupportedSystem();
  if (refusal !== null) throw new Error(refusal);
  stopToolsOnSignals(() => letGo());
  await bootstrap(!process.argv.includes('--no-build'));
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
} finally {
  letGo();
}

async function bootstrap(build) {
  const due = () => steps(build).filter((step) => !stamps.isCurrent(step.name, step.digest(), step.outputs()));
  if (due().length > 0) {
    const lock = await takeLock(path.join(buildFolder, 'lock'), (owner) =>
      process.stderr.write(`weir: process ${owner} is installing here; waiting for it …\n`),
    );
    letGo = lock.letGo;
    tellOfTools(lock.shareWith);
    // One by one, and looked at again: another process may have done it, and a step may make a later one necessary.
    for (let next = due()[0]; next !== undefined; next = due()[0]) {
      const { name, label, work, digest, outputs } = next;
      const wanted = digest();
      await withProgress(label, work);
      stamps.write(name, wanted);
      if (!stamps.isCurrent(name, wanted, outputs()))
        throw new Error(`After ${label}, ${outputs().find((output) => !existsSync(output))} is still missing.`);
    }
  }
  if (!existsSync(nodeFile) || readFileSync(nodeFile, 'utf8') !== nodePath()) {
    mkdirSync(buildFolder, { recursive: true });
    writeFileSync(nodeFile, nodePath());
  }
}

/** In the order in which they have to be done. */
function steps(build) {
  return [...(isNodeNewEnough() ? [] : [nodeStep()]), installStep(), prismaStep(), ...(build ? [buildStep()] : [])];
}

function isNodeNewEnough() {
  return Number(process.versions.node.split('.')[0]) >= NODE_MAJOR;
}

/** The Node.js that Weir runs on: this one when it is new enough, else the one in tools/node. */
function nodePath() {
  if (isNodeNewEnough()) return process.execPath;
  const folder = path.join(root, 'tools/node/node_modules');
  const candidates = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`].map((name) =>
    path.join(folder, name, 'bin/node'),
  );
  return candidates.find((file) => existsSync(file)) ?? candidates[0];
}

/** First of all, because npm leaves out native packages that the running Node.js is too old for. */
function nodeStep() {
  return {
    name: 'node-installed',
    label: `installing Node.js ${NODE_MAJOR}`,
    digest: () => digestOf(['tools/node/package-lock.json']),
    outputs: () => [nodePath()],
    work: () => npmInstall(process.execPath, path.join(root, 'tools/node')),
  };
}

function installStep() {
  const manifests = () =>
    ['package.json', ...['apps', 'libs'].flatMap((folder) => subfolders(folder)).map((folder) => path.join(folder, 'package.json'))].filter(
      (file) => existsSync(file),
    );
  return {
    name: 'packages-installed',
    label: 'installing packages (about a minute the first time)',
    digest: () => digestOf(['package-lock.json'], manifests().map(dependenciesIn).join('\n')),
    outputs: () => ['node_modules/.package-lock.json'],
    work: () => npmInstall(nodePath(), root),
  };
}

/** What of a manifest matters to npm; a changed script is no reason to install. */
function dependenciesIn(manifest) {
  const { name, workspaces, dependencies, devDependencies, optionalDependencies, overrides } = JSON.parse(readFileSync(manifest, 'utf8'));
  return JSON.stringify({ name, workspaces, dependencies, devDependencies, optionalDependencies, overrides });
}

function prismaStep() {
  const schemas = () =>
    subfolders('prisma')
      .map((folder) => path.join(folder, 'schema.prisma'))
      .filter((file) => existsSync(file));
  const generate = (schema) =>
    runTool(nodePath(), ['node_modules/prisma/build/index.js', 'generate', '--schema', schema], {
      cwd: root,
      env: toolEnvironment(nodePath()),
    });
  return {
    name: 'database-clients',
    label: 'generating database clients',
    digest: () => digestOf(['package-lock.json', ...schemas()]),
    outputs: () => schemas().map(clientFolder),
    work: () => {
      const waiting = schemas();
      const worker = async () => {
        for (let schema = waiting.shift(); schema !== undefined; schema = waiting.shift()) await generate(schema);
      };
      // Two, because a laptop or a small container has two cores.
      return Promise.all([worker(), worker()]);
    },
  };
}

/** Where a schema says that its client goes. */
function clientFolder(schema) {
  const output = /^\s*output\s*=\s*"([^"]+)"/m.exec(readFileSync(schema, 'utf8'));
  if (output === null) throw new Error(`${schema} does not say where its client goes (output).`);
  return path.join(path.dirname(schema), output[1]);
}

function buildStep() {
  const sources = () => ['apps', 'libs', 'tests', 'bench', 'scripts'].flatMap((folder) => filesBelow(folder, ['.ts', 'tsconfig.json']));
  const projects = () => JSON.parse(readFileSync('tsconfig.json', 'utf8')).references.map((reference) => reference.path);
  return {
    name: 'compiled',
    label: 'compiling',
    digest: () => digestOf(['package-lock.json', 'tsconfig.json', 'tsconfig.base.json', ...sources()]),
    outputs: () => projects().map((project) => path.join(project, 'dist/.tsbuildinfo')),
    work: () => runTool(nodePath(), ['node_modules/typescript-7/bin/tsc', '-b'], { cwd: root, env: toolEnvironment(nodePath()) }),
  };
}

/** Runs `npm ci` under the given Node.js; no package of ours needs its install script. */
function npmInstall(node, cwd) {
  const args = ['ci', '--ignore-scripts', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const options = { cwd, env: toolEnvironment(node) };
  return npm !== undefined && /npm-cli\.[cm]?js$/.test(npm) ? runTool(node, [npm, ...args], options) : runTool('npm', args, options);
}

function toolEnvironment(node) {
  return {
    ...process.env,
    PATH: [path.dirname(node), path.join(root, 'node_modules/.bin'), process.env.PATH].join(path.delimiter),
    // Nothing is migrated with Prisma's engine, so it need not be downloaded; any executable satisfies the check.
    PRISMA_SCHEMA_ENGINE_BINARY: node,
    CHECKPOINT_DISABLE: '1',
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    ONNXRUNTIME_NODE_INSTALL: 'skip',
  };
}

function subfolders(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(folder, entry.name))
    .sort();
}

/** One sentence for what often goes wrong; else what the tool printed. */
function explain(error) {
  const text = `${error.message}\n${error.output ?? ''}`;
  if (/ENOSPC|No space left|EDQUOT/.test(text)) return `weir: The disk that holds ${root} is full: free about 2 GB and start again.`;
  if (/EROFS|read-only file system/i.test(text))
    return `weir: ${root} is on a read-only file system: clone it to a folder that can be written.`;
  if (/EACCES|EPERM|permission denied/i.test(text))
    return `weir: ${root} or npm's cache cannot be written by this user: change the owner of the folder, or clone it to one of your own.`;
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET/.test(text))
    return `weir: The npm registry cannot be reached: check the network or the proxy and start again.\n${error.output ?? error.message}`;
  return `weir: ${text.trim()}`;
}
