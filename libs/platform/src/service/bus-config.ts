import type { EventBusConfig } from '../bus/index.ts';
import { SettingsError } from '../config/index.ts';
import type { BaseSettings } from './base-settings.ts';

/** @throws SettingsError when the settings of the chosen bus are not there */
export function busConfigOf(settings: BaseSettings): EventBusConfig {
  if (settings.bus === 'embedded') {
    if (settings.busUrl === undefined) throw new SettingsError(['WEIR_BUS_URL: must be set when WEIR_BUS is embedded']);
    return { kind: 'embedded', url: settings.busUrl };
  }
  if (settings.kafkaBrokers.length === 0) throw new SettingsError(['WEIR_KAFKA_BROKERS: must be set when WEIR_BUS is kafka']);
  const { kafkaUsername: username, kafkaPassword: password } = settings;
  return {
    kind: 'kafka',
    brokers: settings.kafkaBrokers,
    ssl: settings.kafkaTls,
    topics: { replicationFactor: settings.kafkaReplicationFactor, minInSyncReplicas: settings.kafkaMinInSyncReplicas },
    ...(username === undefined || password === undefined ? {} : { sasl: { mechanism: 'scram-sha-512' as const, username, password } }),
  };
}
