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
  /** Copies of each partition of the topics that are created; default 1, in production 3. */
  readonly replicationFactor?: number | undefined;
  /** Silence after which a member of a group counts as dead; default 10,000, and brokers refuse less than 6,000 unless told otherwise. */
  readonly sessionTimeoutMs?: number | undefined;
}
