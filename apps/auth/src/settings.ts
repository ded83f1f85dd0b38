import { defineSettings, settingSchemas, type SettingsOf } from '@weir/platform/config';

export const authSettings = defineSettings({
  sessionHours: {
    env: 'WEIR_SESSION_HOURS',
    schema: settingSchemas.integer(1, 720, 12),
    description: 'hours that a sign-in lasts, 1 to 720',
  },
  cookieSecure: {
    env: 'WEIR_COOKIE_SECURE',
    schema: settingSchemas.boolean(false),
    description: 'mark the session cookie Secure; set it wherever the gateway is reached over TLS',
  },
});

export type AuthSettings = SettingsOf<typeof authSettings>;
