import { afterAll, beforeAll, describe } from 'vitest';
import { describeDelivery } from './conformance/delivery.ts';
import { describeFollowers } from './conformance/followers.ts';
import { SOON_MS, type BusUnderTest } from './conformance/harness.ts';
import { describeMembers } from './conformance/members.ts';

export type { BusUnderTest } from './conformance/harness.ts';

/** Several deadlines of `SOON_MS` one after the other: a guarantee that does not hold fails at its own deadline, with its text. */
const TEST_TIMEOUT_MS = 4 * SOON_MS;

/** The guarantees of the event bus, to be proven for each implementation on its real server. */
export function describeEventBus(name: string, start: () => Promise<BusUnderTest>): void {
  describe(`${name}`, { timeout: TEST_TIMEOUT_MS }, () => {
    let server: BusUnderTest | undefined;
    const current = (): BusUnderTest => {
      if (server === undefined) throw new Error('the server has not started');
      return server;
    };
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.dispose());

    describeDelivery(current);
    describeFollowers(current);
    describeMembers(current);
  });
}
