import { spawn } from 'node:child_process';

/**
 * Told of process groups by lines (`+ 123`, `- 123`). When its standard input ends, which happens when the
 * launcher is gone, even by kill -9, it gives them the time that a service takes to drain and kills what is left.
 * Services stop by themselves then; this is for one that hangs.
 */
const SCRIPT = `
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) groups=$(printf '%s' "$groups" | sed "s/ $group / /") ;;
  esac
done
tries=0
while [ "$tries" -lt "$1" ]; do
  left=
  for group in $groups; do kill -0 "-$group" 2>/dev/null && left=yes; done
  [ -z "$left" ] && exit
  sleep 0.5
  tries=$((tries + 1))
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done`;

/** Watches over process groups, so that nothing outlives the launcher. */
export interface Guardian {
  watch(group: number): void;
  forget(group: number): void;
  /** Ends the watch, after all has been stopped in order. */
  close(): void;
  /** Leaves it alone, as a launcher that dies does. */
  abandon(): void;
}

/** @param graceMs how long a group may live on after the launcher's death */
export function startGuardian(graceMs: number): Guardian {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'weir-guardian', String(Math.ceil(graceMs / 500))], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore'],
    // Away from our process group: Ctrl-C must not end it.
    detached: true,
  });
  child.unref();
  (child.stdin as typeof child.stdin & { unref(): void }).unref();
  // Without a shell there is no guardian; services still end by themselves when the launcher is gone.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  return {
    watch: (group) => void child.stdin.write(`+ ${group}\n`),
    forget: (group) => void child.stdin.write(`- ${group}\n`),
    close: () => void child.kill('SIGKILL'),
    abandon: () => void child.stdin.end(),
  };
}
