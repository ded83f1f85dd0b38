import { expectSubgraphIsCurrent } from '@weir/platform/graphql';
import { it } from 'vitest';
import { REGISTRY_RESOLVERS } from './registry.module.ts';

it('the committed SDL of the registry is what its resolvers say', async () => {
  await expectSubgraphIsCurrent('registry', REGISTRY_RESOLVERS);
});
