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
