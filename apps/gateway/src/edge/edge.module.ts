import { Global, Module } from '@nestjs/common';
import { ProjectionsModule } from '../projections/projections.module.ts';
import { AuthForwarding } from './auth-forwarding.ts';
import { Authenticator } from './authenticator.ts';
import { ClientAddresses } from './client-addresses.ts';
import { PublicSurface } from './public-surface.ts';

/**
 * The edge of the platform: who asks, request ids, safe headers, and what is sent on to auth.
 * Global, so that its hooks are in place before any route is mounted.
 */
@Global()
@Module({
  imports: [ProjectionsModule],
  providers: [PublicSurface, Authenticator, ClientAddresses, AuthForwarding],
  exports: [Authenticator, ClientAddresses],
})
export class EdgeModule {}
