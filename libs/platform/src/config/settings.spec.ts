import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineSettings, loadSettings, SettingsError, settingSchemas } from './settings.ts';

const definitions = defineSettings({
  port: { env: 'WEIR_PORT', schema: settingSchemas.port(4000), description: 'port to listen on' },
  level: {
    env: 'WEIR_LOG_LEVEL',
    schema: z.enum(['info', 'debug'], 'must be info or debug').default('info'),
    description: 'what is logged',
  },
  secret: { env: 'WEIR_SECRET', schema: settingSchemas.requiredText(), description: 'a secret' },
});

describe('settings', () => {
  test('are parsed, with their defaults', () => {
    expect(loadSettings(definitions, { WEIR_SECRET: 's', WEIR_LOG_LEVEL: '' })).toEqual({ port: 4000, level: 'info', secret: 's' });
  });

  test('that are wrong are reported all together, by name and without their values', () => {
    const load = () => loadSettings(definitions, { WEIR_PORT: 'hunter2', WEIR_LOG_LEVEL: 'loud' });
    expect(load).toThrow(SettingsError);
    try {
      load();
    } catch (error) {
      const { problems, message } = error as SettingsError;
      expect(problems).toHaveLength(3);
      expect(problems.map((problem) => problem.split(':')[0])).toEqual(['WEIR_PORT', 'WEIR_LOG_LEVEL', 'WEIR_SECRET']);
      expect(message).not.toContain('hunter2');
      expect(message).toContain('must be info or debug');
    }
  });
});
