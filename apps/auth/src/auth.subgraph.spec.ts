import { expectSubgraphIsCurrent } from '@weir/platform/graphql';
import { it } from 'vitest';
import { ApiKeysResolver } from './api-keys/api-keys.resolver.ts';
import { PeopleResolver } from './people/people.resolver.ts';
import { TenantsResolver } from './tenants/tenants.resolver.ts';

it('the committed subgraph of auth is the one that its resolvers serve', async () => {
  await expectSubgraphIsCurrent('auth', [TenantsResolver, PeopleResolver, ApiKeysResolver]);
});
