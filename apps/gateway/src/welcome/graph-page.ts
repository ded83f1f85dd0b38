import type { FastifyReply, FastifyRequest } from 'fastify';
import { addressOf, escaped, sendPage } from './page.ts';

/** What a browser sees that opens the address of the graph. @param publicUrl address that users see, where the operator set one */
export function graphPage(publicUrl: string | undefined): (request: FastifyRequest, reply: FastifyReply) => void {
  return (request, reply) => {
    const address = escaped(addressOf(publicUrl, request.protocol, request.host));
    void sendPage(
      reply,
      'GraphQL of Weir',
      `<h1>The graph of Weir</h1>
<p>This is a GraphQL endpoint: it answers POST requests with JSON. Its schema is a file, <a href="/schema.graphql">/schema.graphql</a>,
for code generators and other tools; introspection needs a credential.</p>
<pre>curl -s --compressed ${address}/schema.graphql</pre>
<p>Operations are also taken at the same address over WebSocket, sub-protocol <code>graphql-transport-ws</code>, with
<code>{"authorization":"Bearer …"}</code> as the payload of <code>connection_init</code>.</p>
<p><a href="/">What runs here</a></p>`,
    );
  };
}
