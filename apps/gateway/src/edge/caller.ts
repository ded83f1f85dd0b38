import type { Principal } from '@weir/access';
import type { KeyLimits } from '@weir/contracts';
import type { GraphCaller } from '@weir/platform/graphql';

/** Who was recognised by a credential. */
export interface Caller {
  readonly principal: Principal;
  /** Limits of the API key; null for a person's session, which has the platform's. */
  readonly limits: KeyLimits | null;
}

/** Caller of the public graph; without a credential only `__typename` is answered. */
export interface EdgeGraphCaller extends GraphCaller {
  readonly limits: KeyLimits | null;
}
