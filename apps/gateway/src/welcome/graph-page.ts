import type { FastifyReply, FastifyRequest } from 'fastify';
import { addressOf, escaped, sendPage } from './page.ts';

/** What a browser sees that opens the address of the graph. */
export function graphPage(request: FastifyRequest, reply: FastifyReply): void {
  const address = escaped(addressOf(undefined, request.protocol, request.host));
  void sendPage(
    reply,
    'GraphQL of Weir',
    `<h1>The graph of Weir</h1>
<p>This is a GraphQL endpoint: it answers POST requests with JSON. Its schema can be read by introspection, without a key.</p>
<pre>curl ${address}/graphql -H 'content-type: application/json' \\
  -d '{"query":"{ __schema { queryType { fields { name description } } } }"}'</pre>
<p>Subscriptions are served at the same address over WebSocket, sub-protocol <code>graphql-transport-ws</code>, with the key in <code>connection_init</code>.</p>
<p><a href="/">What runs here</a></p>`,
  );
}
