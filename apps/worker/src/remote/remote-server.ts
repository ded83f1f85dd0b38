import type { ModelMetadata } from '@weir/open-inference';
import type { EdgeAnswer, EdgeCall } from '../open-inference/edge.ts';

/** A call that was read and can be sent. */
export interface PreparedCall {
  /** Items in it, as they are counted. */
  readonly rows: number;
  /** @throws what the server's refusal means to the caller, worker.unreachable, request.timeout, the reason of the signal */
  readonly send: () => Promise<EdgeAnswer>;
}

/** A server that runs a version, in the terms of its back end. */
export interface RemoteServer {
  /**
   * Looks whether the server can be called for the version; before it was, no call is made.
   *
   * @param secret that it asks for, sent with every call until the next look
   * @throws why it cannot: `model.package_invalid` when it does not do what the version is for, anything else when it may just be away
   */
  look(secret: string | undefined, signal: AbortSignal): Promise<void>;
  /** @param name as the caller names the model */
  metadata(name: string): ModelMetadata;
  /** @throws model.input_invalid, request.malformed, request.too_large */
  prepare(call: EdgeCall): PreparedCall;
  /** Lets what is under way end. */
  close(): Promise<void>;
  /** Ends what is under way. */
  destroy(): Promise<void>;
}
