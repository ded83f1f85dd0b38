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
});

export type AuthSettings = SettingsOf<typeof authSettings>;
