import { Inject } from '@nestjs/common';
import { Args, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { Principal } from '@weir/access';
import { PageArgs, pageOf, pageRequest, parseInput, type Connection } from '@weir/platform/graphql';
import { CurrentPrincipal } from '@weir/platform/http';
import { createTenantSchema, setTenantLimitsSchema, tenantIdSchema, type Tenant } from './tenant.ts';
import {
  CreateTenantInput,
  CreateTenantPayload,
  ReactivateTenantInput,
  ReactivateTenantPayload,
  SetTenantLimitsInput,
  SetTenantLimitsPayload,
  SuspendTenantInput,
  SuspendTenantPayload,
  TenantConnection,
  TenantType,
} from './tenants.graph.ts';
import { TenantsService } from './tenants.service.ts';

@Resolver(() => TenantType)
export class TenantsResolver {
  readonly #tenants: TenantsService;

  constructor(@Inject(TenantsService) tenants: TenantsService) {
    this.#tenants = tenants;
  }

  @Query(() => TenantType, { description: "The caller's own tenant." })
  tenant(@CurrentPrincipal() principal: Principal): Promise<Tenant> {
    return this.#tenants.own(principal);
  }

  @Query(() => TenantConnection, { description: 'All tenants, oldest first. For operators.' })
  async tenants(@CurrentPrincipal() principal: Principal, @Args() args: PageArgs): Promise<Connection<Tenant>> {
    const page = pageRequest(args);
    return pageOf(await this.#tenants.list(principal, page), page, (tenant) => tenant.id);
  }

  @Mutation(() => CreateTenantPayload, { description: 'Makes a tenant with its first owner. For operators.' })
  createTenant(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'The tenant.' }) input: CreateTenantInput,
  ): Promise<CreateTenantPayload> {
    return this.#tenants.create(principal, parseInput(createTenantSchema, input));
  }

  @Mutation(() => SuspendTenantPayload, { description: "Refuses everything that the tenant's people and keys ask for. For operators." })
  async suspendTenant(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Which tenant.' }) input: SuspendTenantInput,
  ): Promise<SuspendTenantPayload> {
    return { tenant: await this.#tenants.suspend(principal, parseInput(tenantIdSchema, input).id) };
  }

  @Mutation(() => ReactivateTenantPayload, { description: 'Lets a suspended tenant use the platform again. For operators.' })
  async reactivateTenant(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Which tenant.' }) input: ReactivateTenantInput,
  ): Promise<ReactivateTenantPayload> {
    return { tenant: await this.#tenants.reactivate(principal, parseInput(tenantIdSchema, input).id) };
  }

  @Mutation(() => SetTenantLimitsPayload, {
    description: 'Limits all calls of a tenant together. Its keys share the limits; a higher limit of a key has no effect. For operators.',
  })
  async setTenantLimits(
    @CurrentPrincipal() principal: Principal,
    @Args('input', { description: 'Which tenant, and its limits.' }) input: SetTenantLimitsInput,
  ): Promise<SetTenantLimitsPayload> {
    return { tenant: await this.#tenants.setLimits(principal, parseInput(setTenantLimitsSchema, input)) };
  }
}
