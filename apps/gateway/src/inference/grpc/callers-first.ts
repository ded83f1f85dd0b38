import { ServerInterceptingCall, type Metadata, type ServerInterceptor } from '@grpc/grpc-js';
import type { Authenticator } from '../../edge/authenticator.ts';

/** Methods that answer anybody, as their siblings over HTTP do. */
const OPEN_METHODS: ReadonlySet<string> = new Set(['ServerLive', 'ServerReady', 'ServerMetadata']);

/**
 * Recognises the caller by the metadata of a call, before its message is decoded.
 *
 * @param refusal the status of a call whose caller is not known
 */
export function callersFirst(
  authenticator: Pick<Authenticator, 'requireBearer'>,
  refusal: (method: string, thrown: unknown, metadata: Metadata) => Parameters<ServerInterceptingCall['sendStatus']>[0],
): ServerInterceptor {
  return ({ path }, call) => {
    const method = path.slice(path.lastIndexOf('/') + 1);
    if (OPEN_METHODS.has(method)) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, accept) => {
            const [authorization] = metadata.get('authorization');
            const refuse = (thrown: unknown): void => call.sendStatus(refusal(method, thrown, metadata));
            try {
              const caller = authenticator.requireBearer(typeof authorization === 'string' ? authorization : undefined);
              if (caller instanceof Promise) void caller.then(() => accept(metadata), refuse);
              else accept(metadata);
            } catch (error) {
              refuse(error);
            }
          },
        }),
    });
  };
}
