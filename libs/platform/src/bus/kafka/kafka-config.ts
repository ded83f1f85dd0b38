/** How a client shows who it is. `oauthbearer` and the clouds' own mechanisms are not supported. */
export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaBusConfig {
  readonly kind: 'kafka';
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[];
  /** TLS with the certificate authorities that Node trusts (`NODE_EXTRA_CA_CERTS` adds to them). */
  readonly ssl?: boolean | undefined;
  readonly sasl?: KafkaSasl | undefined;
  /** Of the topics that are created; see `KafkaTopicSettings`. */
  readonly topics?: Partial<KafkaTopicSettings> | undefined;
  /** Silence after which a member of a group counts as dead; default 10,000, and brokers refuse less than 6,000 unless told otherwise. */
  readonly sessionTimeoutMs?: number | undefined;
}

/** Settings of the topics that are created. Existing topics are compared with them at boot, and left as they are. */
export interface KafkaTopicSettings {
  /** Copies of each partition; -1, the default: the cluster's `default.replication.factor`. */
  readonly replicationFactor: number;
  /** `min.insync.replicas`; 0, the default: 2 where the topics get three copies or more, else the cluster's default. */
  readonly minInSyncReplicas: number;
}

export function topicSettingsOf(config: KafkaBusConfig): KafkaTopicSettings {
  return { replicationFactor: config.topics?.replicationFactor ?? -1, minInSyncReplicas: config.topics?.minInSyncReplicas ?? 0 };
}
