import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER } from '@weir/access';
import { setRequestContext } from '@weir/platform/http';
import { SETTINGS } from '@weir/platform/service';
import { inRequest } from '@weir/platform/telemetry';
import type { FastifyInstance } from 'fastify';
import type { GatewaySettings } from '../settings.ts';
import { requestIdFor } from './request-ids.ts';

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

/** On every answer. Pages bring a policy of their own that lets their style through. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

/** What is done with every request from outside before anything else: an id, no forged headers, safe defaults for the answer. */
@Injectable()
export class PublicSurface implements OnModuleInit {
  readonly #host: HttpAdapterHost;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost, @Inject(SETTINGS) settings: Pick<GatewaySettings, 'publicUrl'>) {
    this.#host = host;
    const isTls = settings.publicUrl?.startsWith('https:') === true;
    this.#headers = isTls ? { ...SECURITY_HEADERS, 'strict-transport-security': 'max-age=31536000; includeSubDomains' } : SECURITY_HEADERS;
  }

  onModuleInit(): void {
    this.#host.httpAdapter.getInstance<FastifyInstance>().addHook('onRequest', (request, reply, done) => {
      const { headers } = request.raw;
      for (const name of INTERNAL_HEADERS) if (headers[name] !== undefined) Reflect.deleteProperty(headers, name);
      const requestId = requestIdFor(request.raw);
      setRequestContext(request, { requestId, principal: undefined, caller: undefined });
      void reply.headers(this.#headers).header(REQUEST_ID_HEADER, requestId);
      inRequest(requestId, done);
    });
  }
}
