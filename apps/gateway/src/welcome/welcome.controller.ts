import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { SETTINGS } from '@weir/platform/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { GatewaySettings } from '../settings.ts';
import { addressOf, escaped, sendPage } from './page.ts';

/** `/`: what runs here and what to try. */
@Controller()
export class WelcomeController {
  constructor(@Inject(SETTINGS) private readonly settings: Pick<GatewaySettings, 'publicUrl'>) {}

  @Get('/')
  welcome(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    const address = escaped(addressOf(this.settings.publicUrl, request.protocol, request.host));
    void sendPage(
      reply,
      'Weir',
      `<h1>Weir</h1>
<p>Hosts AI models for many tenants: call them with a key, see what was used, and what it costs.</p>
<table>
<tr><td><a href="/graphql">/graphql</a></td><td>the whole platform as one graph: models, inference, usage, invoices, keys, people</td></tr>
<tr><td><a href="/schema.graphql">/schema.graphql</a></td><td>its schema as a file, for code generators</td></tr>
<tr><td>/v2/models/…</td><td>inference by the Open Inference Protocol v2</td></tr>
<tr><td>/auth/…</td><td>sign-in; public keys at <a href="/.well-known/jwks.json">/.well-known/jwks.json</a></td></tr>
<tr><td><a href="/health/ready">/health/ready</a></td><td>can this gateway take traffic?</td></tr>
</table>
<h2>Classify a sentence</h2>
<p><code>npm start</code> prints an API key and keeps it in <code>.weir/demo.env</code>. In the folder of the project, let the shell read it:</p>
<pre>. .weir/demo.env</pre>
<pre>curl -s ${address}/graphql -H "authorization: Bearer $WEIR_API_KEY" \\
  -H 'content-type: application/json' -d '{
  "query": "mutation ($input: InferInput!) { infer(input: $input) { output { ... on Classification { labels { label score } } } cost { amount currency } receiptId } }",
  "variables": { "input": { "model": "sentiment", "input": { "text": "What a lovely day" } } }
}'</pre>
<h2>The same by the Open Inference Protocol</h2>
<pre>curl -s ${address}/v2/models/sentiment/infer -H "authorization: Bearer $WEIR_API_KEY" \\
  -H 'content-type: application/json' \\
  -d '{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["What a lovely day"]}]}'</pre>
<h2>What was used, and what it cost</h2>
<p>A call stands here a second or two after its answer.</p>
<pre>curl -s ${address}/graphql -H "authorization: Bearer $WEIR_API_KEY" \\
  -H 'content-type: application/json' -d '{
  "query": "{ usage(filter: { grain: DAY }, groupBy: [MODEL, METER]) { edges { node { model meter quantity cost { amount currency } } } } }"
}'</pre>
<h2>Sign in</h2>
<pre>curl -s ${address}/auth/sign-in -H 'content-type: application/json' \\
  -d "{\\"email\\":\\"$WEIR_ADMIN_EMAIL\\",\\"password\\":\\"$WEIR_ADMIN_PASSWORD\\"}"</pre>`,
    );
  }
}
