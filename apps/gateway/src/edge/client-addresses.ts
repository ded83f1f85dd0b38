import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { clientAddress, networkOf, trustIn, type TrustFunction } from '@weir/platform/http';
import { SETTINGS } from '@weir/platform/service';
import type { GatewaySettings } from '../settings.ts';

/** Whose request it is, by network address: the peer, or whom a trusted proxy names. */
@Injectable()
export class ClientAddresses {
  readonly #trust: TrustFunction;

  constructor(@Inject(SETTINGS) settings: Pick<GatewaySettings, 'trustedProxies'>) {
    this.#trust = trustIn(settings.trustedProxies);
  }

  /** The same as Fastify's `request.ip`, for requests that Fastify does not see (a socket's handshake) as well. */
  of(request: IncomingMessage): string {
    return clientAddress(request, this.#trust);
  }

  /** Key of limits per address. */
  networkOf(request: IncomingMessage): string {
    return networkOf(this.of(request));
  }

  /** Was the request sent by a proxy whose `X-Forwarded-…` headers may be believed? */
  isFromProxy(request: IncomingMessage): boolean {
    const { remoteAddress } = request.socket;
    return remoteAddress !== undefined && this.#trust(remoteAddress, 0);
  }
}
