import { InternalTokenSigner } from '@weir/access';
import type { PlacementState } from '@weir/contracts';
import { testSigningKeys } from '@weir/testing';
import { describe, expect, it } from 'vitest';
import type { LoadedSignature } from '../runtime/messages.ts';
import { VersionLoader } from './version-loader.ts';

const TENSOR = { name: 'x', type: 'float32', dims: ['n'] };

/** A loader with a memory of 100 bytes, whose runtime and cache note what is asked of them. */
async function aLoader(signature: LoadedSignature = { inputs: [TENSOR], outputs: [TENSOR] }) {
  const did: string[] = [];
  const runtime = {
    load: async (versionId: string): Promise<LoadedSignature> => {
      did.push(`load ${versionId}`);
      return signature;
    },
    unload: async (versionId: string): Promise<void> => void did.push(`unload ${versionId}`),
  };
  const packages = {
    hold: async (files: PlacementState['files']) => ({
      directory: '/nowhere',
      sizeBytes: files.reduce((sum, file) => sum + file.sizeBytes, 0),
      release: () => void did.push('release'),
    }),
  };
  const signer = new InternalTokenSigner((await testSigningKeys()).keyOf('worker'));
  return { did, loader: new VersionLoader({ packages, runtime, signer, memoryBytes: 100 }) };
}

function aPlacement(versionId: string, sizeBytes: number): PlacementState {
  return {
    workerId: 'w',
    versionId,
    modelId: 'm',
    model: 'm',
    version: versionId,
    ownerTenantId: 'platform',
    task: 'tensors',
    files: [{ path: 'model.onnx', sha256: 'a'.repeat(64), sizeBytes }],
    artifactsUrl: 'http://127.0.0.1:1',
  };
}

const signal = new AbortController().signal;

describe('a version', () => {
  it('that finds no room is to be tried again: there is room when another one is unloaded', async () => {
    const { loader } = await aLoader();
    const first = await loader.load(aPlacement('1', 60), signal);
    await expect(loader.load(aPlacement('2', 60), signal)).rejects.toMatchObject({
      code: 'worker.overloaded',
      message: 'The package needs 60 bytes of memory; the worker has 40 left.',
    });
    await loader.unload(first);
    expect((await loader.load(aPlacement('2', 60), signal)).loaded.versionId).toBe('2');
  });

  it('that is larger than the whole worker is at fault itself', async () => {
    const { loader } = await aLoader();
    await expect(loader.load(aPlacement('1', 101), signal)).rejects.toMatchObject({ code: 'model.package_invalid' });
  });

  it('whose tensors the platform does not carry is let go of, in memory and on disk, and takes no room', async () => {
    const { did, loader } = await aLoader({ inputs: [{ ...TENSOR, type: 'bfloat16' }], outputs: [] });
    for (const attempt of ['1', '2']) {
      await expect(loader.load(aPlacement(attempt, 60), signal)).rejects.toMatchObject({ code: 'model.package_invalid' });
    }
    expect(did).toEqual(['load 1', 'unload 1', 'release', 'load 2', 'unload 2', 'release']);
  });
});
