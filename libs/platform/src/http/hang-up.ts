import type { FastifyInstance } from 'fastify';

/** How often a closing server looks for connections that it can end. */
const HANG_UP_MS = 100;

/**
 * Ends what keeps a closing server open: kept connections, and, once the last answer is sent, those that never sent
 * a request, which Node does not count as idle.
 *
 * @returns closes the server by what it is given, and looks after the connections meanwhile
 */
export function hangUpWhenAnswered(fastify: FastifyInstance): (close: () => Promise<void>) => Promise<void> {
  let inFlight = 0;
  fastify.addHook('onRequest', (_request, reply, done) => {
    inFlight++;
    // Not the hook onResponse: it is silent about callers who went away.
    reply.raw.once('close', () => inFlight--);
    done();
  });
  return async (close) => {
    const hurry = setInterval(() => {
      fastify.server.closeIdleConnections();
      if (inFlight === 0) fastify.server.closeAllConnections();
    }, HANG_UP_MS);
    try {
      await close();
    } finally {
      clearInterval(hurry);
    }
  };
}
