import process from 'node:process';

/** Without a terminal a line now and then is enough to see that it lives. */
const PLAIN_INTERVAL_MS = 20_000;

/**
 * Shows on the standard error that work is under way: seconds that tick on a terminal, plain lines elsewhere.
 *
 * @template T
 * @param {string} label what is being done, such as `installing packages`
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withProgress(label, work) {
  const began = Date.now();
  const seconds = () => `${Math.round((Date.now() - began) / 1000)} s`;
  const isTerminal = process.stderr.isTTY;
  process.stderr.write(isTerminal ? `weir: ${label} …` : `weir: ${label} …\n`);
  const timer = setInterval(
    () => process.stderr.write(isTerminal ? `\rweir: ${label} … ${seconds()}` : `weir: still ${label}, ${seconds()}\n`),
    isTerminal ? 1_000 : PLAIN_INTERVAL_MS,
  );
  try {
    const result = await work();
    process.stderr.write(isTerminal ? `\rweir: ${label}: done in ${seconds()}\n` : `weir: ${label}: done in ${seconds()}\n`);
    return result;
  } catch (error) {
    if (isTerminal) process.stderr.write('\n');
    throw error;
  } finally {
    clearInterval(timer);
  }
}
