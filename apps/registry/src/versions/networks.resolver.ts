import { Float, Parent, ResolveField, Resolver } from '@nestjs/graphql';
import type { ModelView } from '../models/model.ts';
import { ModelType, ModelVersionType } from '../models/models.graph.ts';
import type { ModelNetwork } from './model-network.ts';
import type { ModelVersion } from './model-version.ts';
import { ModelNetworkType, ModelSignature } from './networks.graph.ts';

const SIGNATURE = {
  nullable: true,
  description:
    'The raw tensors that it takes and gives. Null where several networks do the task, where another server runs it, and for versions that were published before signatures were read.',
};
const NETWORKS = { description: 'The networks that it runs; none where another server runs it.' };
const PARAMETER_COUNT = { nullable: true, description: 'Numbers in its weights; null where its networks are not known.' };
const FORMATS = { description: 'Formats of its networks: onnx.' };

/** What a version's networks say of themselves. */
@Resolver(() => ModelVersionType)
export class VersionNetworksResolver {
  @ResolveField(() => ModelSignature, SIGNATURE)
  signature(@Parent() { networks }: ModelVersion): ModelSignature | null {
    return signatureOf(networks);
  }

  @ResolveField(() => [ModelNetworkType], NETWORKS)
  networks(@Parent() { networks }: ModelVersion): ModelNetworkType[] {
    return networks.map(toType);
  }

  @ResolveField(() => Float, PARAMETER_COUNT)
  parameterCount(@Parent() { networks }: ModelVersion): number | null {
    return parametersOf(networks);
  }

  @ResolveField(() => [String], FORMATS)
  formats(@Parent() { networks }: ModelVersion): string[] {
    return formatsOf(networks);
  }
}

/** The same of the version that `production` points to, or else the newest. */
@Resolver(() => ModelType)
export class ModelNetworksResolver {
  @ResolveField(() => ModelSignature, SIGNATURE)
  signature(@Parent() { current }: ModelView): ModelSignature | null {
    return signatureOf(current.networks);
  }

  @ResolveField(() => [ModelNetworkType], NETWORKS)
  networks(@Parent() { current }: ModelView): ModelNetworkType[] {
    return current.networks.map(toType);
  }

  @ResolveField(() => Float, PARAMETER_COUNT)
  parameterCount(@Parent() { current }: ModelView): number | null {
    return parametersOf(current.networks);
  }

  @ResolveField(() => [String], FORMATS)
  formats(@Parent() { current }: ModelView): string[] {
    return formatsOf(current.networks);
  }
}

function toType({ inputs, outputs, ...network }: ModelNetwork): ModelNetworkType {
  return { ...network, signature: { inputs, outputs } };
}

function signatureOf(networks: readonly ModelNetwork[]): ModelSignature | null {
  const [network, ...others] = networks;
  return network === undefined || others.length > 0 ? null : { inputs: network.inputs, outputs: network.outputs };
}

function parametersOf(networks: readonly ModelNetwork[]): number | null {
  return networks.length === 0 ? null : networks.reduce((sum, { parameterCount }) => sum + parameterCount, 0);
}

function formatsOf(networks: readonly ModelNetwork[]): string[] {
  return [...new Set(networks.map(({ format }) => format))];
}
