import type { IncomingMessage } from 'node:http';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER } from '@weir/access';
import { requestIdOf, setRequestContext } from '@weir/platform/http';
import { LOGGER, SETTINGS } from '@weir/platform/service';
import { inRequest, type Logger } from '@weir/platform/telemetry';
import type { FastifyInstance } from 'fastify';
import type { GatewaySettings } from '../settings.ts';
import { boundAnonymousBodies } from './anonymous-bodies.ts';
import { Authenticator } from './authenticator.ts';
import { ClientAddresses } from './client-addresses.ts';

/** Headers that only our own hops may set: from outside they are lies. */
const INTERNAL_HEADERS = [INTERNAL_TOKEN_HEADER, 'forwarded', 'x-forwarded-port', 'x-real-ip'];
/** Headers that a trusted proxy may set beside. */
const PROXY_HEADERS = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];

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
  readonly #settings: Pick<GatewaySettings, 'publicUrl' | 'trustedProxies' | 'bodyLimitBytes'>;
  readonly #logger: Logger;
  readonly #addresses: ClientAddresses;
  readonly #authenticator: Pick<Authenticator, 'identify'>;
  readonly #forDocuments: Readonly<Record<string, string>>;
  readonly #forCalls: Readonly<Record<string, string>>;

  constructor(
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
    @Inject(SETTINGS) settings: Pick<GatewaySettings, 'publicUrl' | 'trustedProxies' | 'bodyLimitBytes'>,
    @Inject(LOGGER) logger: Logger,
    @Inject(ClientAddresses) addresses: ClientAddresses,
    @Inject(Authenticator) authenticator: Pick<Authenticator, 'identify'>,
  ) {
    this.#host = host;
    this.#settings = settings;
    this.#logger = logger;
    this.#addresses = addresses;
    this.#authenticator = authenticator;
    const isTls = settings.publicUrl?.startsWith('https:') === true;
    this.#forDocuments = { ...FOR_DOCUMENTS, ...(isTls ? FOR_TLS : {}) };
    this.#forCalls = { ...ALWAYS, ...(isTls ? FOR_TLS : {}) };
  }

  onModuleInit(): void {
    const { publicUrl, trustedProxies } = this.#settings;
    if (publicUrl !== undefined && trustedProxies.length === 0 && !isLocal(new URL(publicUrl).hostname))
      this.#logger.warn(
        { publicUrl },
        'WEIR_PUBLIC_URL names another host and WEIR_TRUSTED_PROXIES no proxy: if there is one, limits per address take all clients for one',
      );
    const fastify = this.#host.httpAdapter.getInstance<FastifyInstance>();
    boundAnonymousBodies(fastify, this.#authenticator, this.#settings.bodyLimitBytes);
    fastify.addHook('onRequest', (request, reply, done) => {
      const { headers } = request.raw;
      for (const name of INTERNAL_HEADERS) if (headers[name] !== undefined) Reflect.deleteProperty(headers, name);
      this.#keepForwarded(request.raw);
      const requestId = requestIdOf(headers[REQUEST_ID_HEADER]);
      setRequestContext(request, { requestId, principal: undefined, caller: undefined });
      void reply.headers(request.method === 'POST' ? this.#forCalls : this.#forDocuments).header(REQUEST_ID_HEADER, requestId);
      inRequest(requestId, done);
    });
  }

  /** Keeps the client's address, host and protocol where a trusted proxy sent them; removes them from any other peer. */
  #keepForwarded(request: IncomingMessage): void {
    const { headers } = request;
    if (this.#addresses.isFromProxy(request)) headers['x-forwarded-for'] = this.#addresses.of(request);
    else for (const name of PROXY_HEADERS) if (headers[name] !== undefined) Reflect.deleteProperty(headers, name);
  }
}

function isLocal(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
}
