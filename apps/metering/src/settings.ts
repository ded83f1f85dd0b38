import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';

export const meteringSettings = defineSettings({
  reconciliationIntervalMs: {
    env: 'WEIR_RECONCILIATION_INTERVAL_MS',
    schema: settingSchemas.integer(100, 86_400_000, 3_600_000),
    description: 'how often the totals of the running and the previous month are stated for billing to compare with',
  },
});

export type MeteringSettings = SettingsOf<typeof meteringSettings>;
