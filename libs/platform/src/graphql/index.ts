export {
  connectionOf,
  cursorError,
  cursorInstant,
  decodeCursor,
  DEFAULT_PAGE_SIZE,
  encodeCursor,
  MAX_PAGE_SIZE,
  PageArgs,
  PageInfo,
  pageOf,
  pageRequest,
  type Connection,
  type Edge,
  type PageRequest,
} from './connection.ts';
export { FairSemaphore, type FairSemaphoreOptions } from './fair-semaphore.ts';
export { GraphContext, type GraphCaller, type GraphContextFactory, type GraphOrigin } from './graph-context.ts';
export { GraphDriver, type GraphDriverOptions } from './graph-driver.ts';
export { describeError, type GraphErrorExtensions } from './graph-errors.ts';
export type { OperationAdmission } from './graph-runner.ts';
export { DEFAULT_GRAPH_LIMITS, type GraphLimits } from './limits.ts';
export { idInput, isStorable } from './id-input.ts';
export { MoneyType } from './money.ts';
export { parseInput } from './parse-input.ts';
export { DateTime, JsonScalar } from './scalars.ts';
export { DEFAULT_SOCKET_LIMITS, type SocketCredentials, type SocketLimits } from './socket-transport.ts';
export { SubgraphModule, type SubgraphOptions } from './subgraph.module.ts';
export { expectSubgraphIsCurrent, printSubgraph, SCHEMA_OPTIONS, subgraphFile } from './subgraph-sdl.ts';
