import { test } from 'vitest';
import { expectSettingsAreDocumented } from '../config/index.ts';
import { baseSettings } from './base-settings.ts';

test('every setting stands in docs/settings.md, with its default and what is allowed', () => {
  expectSettingsAreDocumented(new URL('../../../../docs/settings.md', import.meta.url), baseSettings);
});
