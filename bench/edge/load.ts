import { Pool } from 'undici';

export interface Target {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends `count` requests, `inFlight` at a time; gives each one's latency in milliseconds. Any answer but 200 fails the run. */
export async function drive(target: Target, count: number, inFlight: number): Promise<number[]> {
  const pool = new Pool(target.origin, { connections: inFlight, pipelining: 1 });
  const latencies: number[] = [];
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const begin = performance.now();
      const answer = await pool.request({ method: 'POST', path: target.path, headers: target.headers, body: target.body });
      const text = await answer.body.text();
      if (answer.statusCode !== 200 || text.includes('"errors"'))
        throw new Error(`${target.path} answered ${answer.statusCode}: ${text.slice(0, 500)}`);
      latencies.push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  await pool.close();
  return latencies;
}
