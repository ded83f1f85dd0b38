import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';
import type { BaseSettings } from '@weir/platform/service';

const MIB = 1_048_576;

/** What the registry is told beside the base settings. */
export const registrySettings = defineSettings({
  artifactsDirectory: {
    env: 'WEIR_ARTIFACTS_DIR',
    schema: settingSchemas.requiredText(),
    description: 'folder for the files of models; part of the state, to be backed up with the database',
  },
  maxArtifactBytes: {
    env: 'WEIR_ARTIFACT_MAX_BYTES',
    schema: settingSchemas.integer(1, 2 ** 45, 4096 * MIB),
    description: 'largest file that is taken, in bytes',
  },
  publicUrl: {
    env: 'WEIR_REGISTRY_PUBLIC_URL',
    schema: settingSchemas.url().optional(),
    description: 'address under which workers reach this service; without it the address that it listens on',
  },
  allowLocalBackEnds: {
    env: 'WEIR_BACK_ENDS_ALLOW_LOCAL',
    schema: settingSchemas.boolean(false),
    description:
      'versions may be published for servers at addresses of this machine, its link (169.254.0.0/16, fe80::/10) or a metadata service; set it for the workers too. Private networks are always allowed',
  },
  tenantArtifactBytes: {
    env: 'WEIR_TENANT_ARTIFACT_BYTES',
    schema: settingSchemas.integer(0, 2 ** 50, 20 * 1024 * MIB),
    description: "bytes of files that a tenant may hold, unless the operator sets another quota for it; the platform's own tenant has none",
  },
  tenantVersions: {
    env: 'WEIR_TENANT_VERSIONS',
    schema: settingSchemas.integer(0, 1_000_000, 1_000),
    description: 'versions that a tenant may publish, unless the operator sets another quota for it',
  },
  tenantMemoryBytes: {
    env: 'WEIR_TENANT_MEMORY_BYTES',
    schema: settingSchemas.integer(0, 2 ** 50, 1024 * MIB),
    description:
      "bytes of workers' memory that are reserved for a tenant's versions at most, each counted once, unless the operator sets another quota for it",
  },
  replicas: {
    env: 'WEIR_PLACEMENT_REPLICAS',
    schema: settingSchemas.integer(1, 1000, 1),
    description: 'workers that each deployed version is placed on',
  },
  placementIntervalMs: {
    env: 'WEIR_PLACEMENT_INTERVAL_MS',
    schema: settingSchemas.integer(50, 60_000, 2_000),
    description: 'milliseconds between two looks at where versions are placed; changes are looked at at once',
  },
});

export type RegistrySettings = SettingsOf<typeof registrySettings> & BaseSettings;
