export { expectSectionIsCurrent, markdownTable } from './document-section.ts';
export { readEnvironment } from './environment.ts';
export { expectSettingsAreDocumented } from './settings-table.ts';
export {
  defineSettings,
  loadSettings,
  SettingsError,
  settingSchemas,
  type SettingDefinition,
  type SettingDefinitions,
  type SettingsOf,
} from './settings.ts';
