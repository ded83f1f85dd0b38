import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Identity of a process beyond its number: its command line and when it began; `''` when there is no such process. */
export function identityOf(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // Field 22, the ticks since boot at which it began; counted after the name, which may hold spaces.
      const began = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      return `${began} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()}`;
    }
    return execFileSync('ps', ['-o', 'lstart=,command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    // There is no such process.
    return '';
  }
}
