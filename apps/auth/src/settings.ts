import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';

export const authSettings = defineSettings({
  sessionHours: {
    env: 'WEIR_SESSION_HOURS',
    schema: settingSchemas.integer(1, 720, 12),
    description: 'hours that a sign-in lasts, 1 to 720',
  },
  publicUrl: {
    env: 'WEIR_PUBLIC_URL',
    schema: settingSchemas.url().optional(),
    description: 'address that users see; cookies are marked Secure where it is an https address',
  },
  maxApiKeys: {
    env: 'WEIR_TENANT_MAX_API_KEYS',
    schema: settingSchemas.integer(1, 100_000, 1_000),
    description: 'API keys of a tenant that are neither revoked nor expired; as many of those that ended are kept',
  },
  maxPeople: {
    env: 'WEIR_TENANT_MAX_PEOPLE',
    schema: settingSchemas.integer(1, 100_000, 1_000),
    description: 'people of a tenant',
  },
});

export type AuthSettings = SettingsOf<typeof authSettings>;
