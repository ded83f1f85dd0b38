import { Inject } from '@nestjs/common';
import { Field, ObjectType, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { CurrentPrincipal } from '@weir/platform/http';
import { SETTINGS } from '@weir/platform/service';
import type { GatewaySettings } from '../settings.ts';

/** Grows with the public contract. */
export const PLATFORM_VERSION = '0.1.0';

@ObjectType({ description: 'This installation of Weir.' })
export class Platform {
  @Field(() => String, { description: 'Version of the platform.' })
  version!: string;

  @Field(() => String, { nullable: true, description: 'Address that users see, when the operator has set one.' })
  publicUrl!: string | null;
}

@Resolver(() => Platform)
export class PlatformResolver {
  constructor(@Inject(SETTINGS) private readonly settings: Pick<GatewaySettings, 'publicUrl'>) {}

  @Query(() => Platform, { description: 'This installation of Weir.' })
  platform(@CurrentPrincipal() _principal: Principal): Platform {
    return { version: PLATFORM_VERSION, publicUrl: this.settings.publicUrl ?? null };
  }
}
