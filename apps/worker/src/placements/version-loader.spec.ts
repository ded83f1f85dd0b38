import { InternalTokenSigner } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { AppError } from '@weir/kernel';
import { testSigningKeys } from '@weir/testing';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { VersionLoader } from './version-loader.ts';

/** A loader whose cache and processes note what is asked of them; `failure` is what a process says of the version. */
async function aLoader(failure?: AppError) {
  const did: string[] = [];
  const fetches = { underWay: 0, most: 0 };
  const packages = {
    hold: async (files: PlacementState['files']) => {
      fetches.most = Math.max(fetches.most, ++fetches.underWay);
      await setImmediate();
      fetches.underWay--;
      return {
        directory: '/nowhere',
        sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
        release: () => void did.push('release'),
      };
    },
  };
  const fleet = {
    place: async ({ versionId, ownerTenantId }: { versionId: string; ownerTenantId: string }, bytes: number) => {
      did.push(`place ${versionId} of ${ownerTenantId} with ${bytes} bytes`);
      if (failure !== undefined) throw failure;
    },
    accountOf: () => null,
    update: (versionId: string, visibility?: string) => void did.push(`update ${versionId} ${visibility}`),
    remove: async (versionId: string) => void did.push(`remove ${versionId}`),
  };
  const signer = new InternalTokenSigner((await testSigningKeys()).keyOf('worker'));
  const remote = {
    place: async ({ versionId }: PlacementState, { kind }: { kind: string }) => void did.push(`place ${versionId} at ${kind}`),
    update: () => undefined,
    remove: (versionId: string) => void did.push(`remove remote ${versionId}`),
  };
  return { did, fetches, loader: new VersionLoader({ packages, fleet, remote, signer }) };
}

const placement: PlacementState = {
  workerId: 'w',
  versionId: 'v1',
  modelId: 'm',
  model: 'm',
  version: '1',
  ownerTenantId: 'acme',
  task: 'tensors',
  files: [
    { path: 'onnx/model.onnx', sha256: 'a'.repeat(64), sizeBytes: 60 },
    { path: 'onnx/model.onnx_data', sha256: 'b'.repeat(64), sizeBytes: 500 },
    { path: 'README.md', sha256: 'c'.repeat(64), sizeBytes: 7 },
  ],
  artifactsUrl: 'http://127.0.0.1:1',
};
const signal = new AbortController().signal;

describe('a version', () => {
  it('is served by a process of its owner, and its files are kept while it is', async () => {
    const { did, loader } = await aLoader();
    const held = await loader.load(placement, signal);
    expect(did).toEqual(['place v1 of acme with 560 bytes']);
    await loader.unload(held);
    expect(did.slice(1)).toEqual(['remove v1', 'release']);
  });

  it('is put on disk after the one before, and loaded beside it', async () => {
    const { fetches, loader } = await aLoader();
    await Promise.all(['v1', 'v2', 'v3'].map((versionId) => loader.load({ ...placement, versionId }, signal)));
    expect(fetches.most).toBe(1);
  });

  it('that another server runs has no files and no process here', async () => {
    const { did, loader } = await aLoader();
    const held = await loader.load({ ...placement, backend: { kind: 'openai', url: 'http://vllm', model: 'e5' } }, signal);
    await loader.unload(held);
    expect(did).toEqual(['place v1 at openai', 'remove remote v1']);
  });

  it('that no process can load is let go of, in memory and on disk', async () => {
    const { did, loader } = await aLoader(new AppError('model.package_invalid'));
    await expect(loader.load(placement, signal)).rejects.toMatchObject({ code: 'model.package_invalid' });
    expect(did.slice(1)).toEqual(['remove v1', 'release']);
  });
});
