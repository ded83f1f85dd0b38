import replyFrom from '@fastify/reply-from';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER, servicePrincipal, type InternalTokenSigner, type Principal } from '@weir/access';
import { AppError } from '@weir/kernel';
import { assertJsonDepth, requestContext, sendError } from '@weir/platform/http';
import { LOGGER, SETTINGS, TOKEN_SIGNER } from '@weir/platform/service';
import { currentTraceparent, type Logger } from '@weir/platform/telemetry';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { GatewaySettings } from '../settings.ts';
import { Authenticator } from './authenticator.ts';
import { isSameOrigin } from './credentials.ts';

/** Sign-in forms are small. */
const MAX_BODY_BYTES = 65_536;
/** argon2id takes its time when many sign in at once. */
const TIMEOUT_MS = 10_000;
const CONNECTIONS = 32;

/** What auth may see of a request; everything else stays at the edge. */
const FORWARDED_HEADERS = [
  'accept',
  'accept-language',
  'authorization',
  'content-type',
  'cookie',
  'if-none-match',
  'origin',
  'sec-fetch-site',
  'user-agent',
];
/** What stays at the edge of auth's answer: hop headers, and those that the edge sets itself. */
const KEPT_BACK = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'proxy-authenticate',
  'trailer',
  'upgrade',
  'server',
  'x-powered-by',
  REQUEST_ID_HEADER,
]);
const ANONYMOUS = servicePrincipal('gateway');

/** Sends `/auth/…` and `/.well-known/jwks.json` on to the auth service, in the name of whoever asks. */
@Injectable()
export class AuthForwarding implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(SETTINGS) private readonly settings: Pick<GatewaySettings, 'authUrl' | 'publicUrl'>,
    @Inject(TOKEN_SIGNER) private readonly signer: InternalTokenSigner,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Authenticator) private readonly authenticator: Authenticator,
  ) {}

  onModuleInit(): void {
    void this.host.httpAdapter.getInstance<FastifyInstance>().register(async (scope: FastifyInstance) => this.#mount(scope));
  }

  async #mount(scope: FastifyInstance): Promise<void> {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser<Buffer>('*', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (request, body, done) => {
      if (/json/i.test(request.headers['content-type'] ?? '')) assertJsonDepth(body);
      done(null, body);
    });
    scope.setErrorHandler((error, request, reply) => sendError(reply, error, requestContext(request).requestId, this.logger));
    await scope.register(replyFrom, {
      base: this.settings.authUrl,
      undici: { connections: CONNECTIONS, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS, connect: { timeout: 2_000 } },
      disableRequestLogging: true,
      globalAgent: false,
    });
    const handler = (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => this.#forward(request, reply);
    scope.route({ method: ['GET', 'HEAD', 'POST', 'DELETE'], url: '/auth/*', handler });
    scope.route({ method: ['GET', 'HEAD'], url: '/.well-known/jwks.json', handler });
  }

  async #forward(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (!isPlainPath(request.url)) throw new AppError('request.not_found');
    // Another site's page must not sign its visitor in or out.
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isSameOrigin(request.raw))
      throw new AppError('access.forbidden', { message: 'This works only from our own pages.' });
    const token = await this.signer.sign(await this.#principalOf(request), 'auth');
    const { requestId } = requestContext(request);
    return reply.from(request.url, {
      ...(Buffer.isBuffer(request.body)
        ? { body: request.body, contentType: request.headers['content-type'] ?? 'application/octet-stream' }
        : {}),
      rewriteRequestHeaders: () => this.#headersFor(request, token, requestId),
      rewriteHeaders: (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !KEPT_BACK.has(name))),
      onError: (_failed, { error }) => {
        sendError(reply, new AppError('service.unavailable', { cause: error, retryAfterMs: 1_000 }), requestId, this.logger);
      },
    });
  }

  /** A credential that is no longer good must not keep anyone from signing in: then the request goes on as nobody's. */
  async #principalOf(request: FastifyRequest): Promise<Principal> {
    try {
      return (await this.authenticator.identify(request.raw))?.principal ?? ANONYMOUS;
    } catch (error) {
      if (error instanceof AppError && error.kind === 'unauthenticated') return ANONYMOUS;
      throw error;
    }
  }

  #headersFor(request: FastifyRequest, token: string, requestId: string): Record<string, string> {
    const headers: Record<string, string> = {};
    for (const name of FORWARDED_HEADERS) {
      const value = request.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const traceparent = currentTraceparent();
    if (traceparent !== undefined) headers.traceparent = traceparent;
    const publicUrl = this.settings.publicUrl === undefined ? undefined : new URL(this.settings.publicUrl);
    headers['x-forwarded-for'] = request.ip;
    headers['x-forwarded-host'] = publicUrl?.host ?? request.host;
    headers['x-forwarded-proto'] = publicUrl?.protocol.replace(':', '') ?? request.protocol;
    headers[REQUEST_ID_HEADER] = requestId;
    headers[INTERNAL_TOKEN_HEADER] = token;
    return headers;
  }
}

/** Only plain paths go on: dots or encoded characters could lead out of the prefix at the other end. */
function isPlainPath(url: string): boolean {
  const path = url.split('?', 1)[0] ?? '';
  return /^[\w./~-]+$/.test(path) && !path.split('/').some((segment) => segment === '.' || segment === '..');
}
