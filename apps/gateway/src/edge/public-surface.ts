import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER } from '@weir/access';
import { requestIdOf, setRequestContext } from '@weir/platform/http';
import { SETTINGS } from '@weir/platform/service';
import { inRequest } from '@weir/platform/telemetry';
import type { FastifyInstance } from 'fastify';
import type { GatewaySettings } from '../settings.ts';

/** Headers that only our own hops may set: from outside they are lies. */
const INTERNAL_HEADERS = [
  INTERNAL_TOKEN_HEADER,
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
];

/** On every answer: it is what it says it is, and no cache keeps it. */
const ALWAYS = { 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };

/**
 * On answers that a browser could show as a page, which it asks for with GET. Calls (POST) are spared them: each header
 * costs as much as recognising the key. Pages bring a policy of their own that lets their style through.
 */
const FOR_DOCUMENTS = {
  ...ALWAYS,
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
const FOR_TLS = { 'strict-transport-security': 'max-age=31536000; includeSubDomains' };

/** What is done with every request from outside before anything else: an id, no forged headers, safe defaults for the answer. */
@Injectable()
export class PublicSurface implements OnModuleInit {
  readonly #host: HttpAdapterHost;
  readonly #forDocuments: Readonly<Record<string, string>>;
  readonly #forCalls: Readonly<Record<string, string>>;

  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost, @Inject(SETTINGS) settings: Pick<GatewaySettings, 'publicUrl'>) {
    this.#host = host;
    const isTls = settings.publicUrl?.startsWith('https:') === true;
    this.#forDocuments = { ...FOR_DOCUMENTS, ...(isTls ? FOR_TLS : {}) };
    this.#forCalls = { ...ALWAYS, ...(isTls ? FOR_TLS : {}) };
  }

  onModuleInit(): void {
    this.#host.httpAdapter.getInstance<FastifyInstance>().addHook('onRequest', (request, reply, done) => {
      const { headers } = request.raw;
      for (const name of INTERNAL_HEADERS) if (headers[name] !== undefined) Reflect.deleteProperty(headers, name);
      const requestId = requestIdOf(headers[REQUEST_ID_HEADER]);
      setRequestContext(request, { requestId, principal: undefined, caller: undefined });
      void reply.headers(request.method === 'POST' ? this.#forCalls : this.#forDocuments).header(REQUEST_ID_HEADER, requestId);
      inRequest(requestId, done);
    });
  }
}
