import { spawn } from 'node:child_process';
import path from 'node:path';
import type { ServerUser } from './server-user.ts';

/**
 * Waits for the end of its standard input, which comes when the process that holds the other
 * end is gone, even by kill -9; then stops PostgreSQL: fast first, after five seconds at once.
 * A shell, because it costs one megabyte and outlives us. It signals only the process that the
 * data directory names, so that a number which the system gave to another process is left alone.
 */
const SCRIPT = `
same() { IFS= read -r now < "$2" 2>/dev/null && [ "$now" = "$1" ]; }
while IFS= read -r line; do :; done
same "$1" "$2" && kill -INT "$1" 2>/dev/null
tries=0
while same "$1" "$2" && kill -0 "$1" 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -eq 25 ] && kill -QUIT "$1" 2>/dev/null
  [ "$tries" -eq 50 ] && kill -KILL "$1" 2>/dev/null
  [ "$tries" -gt 60 ] && exit
  sleep 0.2
done`;

/** Guards the PostgreSQL process `pid`; call the result when it has been stopped. */
export function watch(pid: number, dataDirectory: string, user: ServerUser | null): () => void {
  const pidFile = path.join(dataDirectory, 'postmaster.pid');
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'weir-postgres-watchdog', String(pid), pidFile], {
    ...user,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
    // A process group of its own: Ctrl-C and a kill of our group must not take the watchdog first.
    detached: true,
  });
  // Without a shell there is no watchdog; the next start still clears what a killed one left.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  (child.stdin as typeof child.stdin & { unref(): void }).unref();
  return () => {
    child.kill('SIGKILL');
  };
}
