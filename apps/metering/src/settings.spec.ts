import { expectSettingsAreDocumented } from '@weir/platform/config';
import { test } from 'vitest';
import { meteringSettings } from './settings.ts';

test('every setting stands in the README, with its default and what is allowed', () => {
  expectSettingsAreDocumented(new URL('../README.md', import.meta.url), meteringSettings);
});
