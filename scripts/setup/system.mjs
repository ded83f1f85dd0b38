import process from 'node:process';

/** What Weir has binaries for: Node.js, PostgreSQL and ONNX Runtime. */
const SUPPORTED = ['linux-x64', 'linux-arm64', 'darwin-arm64'];

/** One sentence that says why Weir cannot run here, or null when it can. */
export function unsupportedSystem() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20)
    return `Weir needs Node.js 20 or later to install itself; this is ${process.version}: install a newer one from nodejs.org.`;
  if (process.platform === 'win32') return 'Weir does not run on Windows itself: use WSL 2, Linux or macOS.';
  const system = `${process.platform}-${process.arch}`;
  if (!SUPPORTED.includes(system))
    return `Weir does not run on ${system}: there are no binaries for it; use Linux (x64, arm64) or macOS (Apple silicon).`;
  if (process.platform === 'linux') return unsupportedLibc();
  return null;
}

/** PostgreSQL, Node.js 24 and ONNX Runtime are built for glibc; Alpine has musl. */
function unsupportedLibc() {
  // Without this the report looks up names of network peers.
  process.report.excludeNetwork = true;
  const version = process.report.getReport().header.glibcVersionRuntime;
  if (version === undefined)
    return 'Weir does not run on a Linux without glibc, such as Alpine: use Debian, Ubuntu, Fedora or another one with glibc 2.28 or later.';
  const [major, minor] = version.split('.').map(Number);
  return major === 2 && minor < 28 ? `Weir needs glibc 2.28 or later; this Linux has ${version}: use a newer one.` : null;
}
