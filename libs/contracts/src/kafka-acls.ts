import { busGrants, type TopicDefinition } from './topics.ts';

/**
 * `infra/kafka/acls.sh`: the access control lists of each service on Apache Kafka, from the table of topics. The same rights as the
 * embedded bus gives to its roles.
 */
export function kafkaAcls(topics: readonly TopicDefinition[]): string {
  const services = Map.groupBy(busGrants(topics), ({ role }) => role);
  const sections = [...services].map(([service, grants]) => {
    const user = `"User:\${PREFIX}${service}"`;
    const rights = grants.map(({ topic, canWrite, canRead }) => {
      const operations = ['Describe', 'DescribeConfigs', 'Create', ...(canWrite ? ['Write'] : []), ...(canRead ? ['Read'] : [])];
      return `add ${user} --topic ${topic} ${operations.map((operation) => `--operation ${operation}`).join(' ')}`;
    });
    return [
      `# ${service}`,
      ...rights,
      '# Its group, and those of its followers, which never commit.',
      `add ${user} --group ${service} --resource-pattern-type prefixed --operation Read --operation Describe`,
      `add ${user} --group follow-${service}- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete`,
      '# To read default.replication.factor when it creates topics.',
      `add ${user} --cluster --operation DescribeConfigs`,
    ].join('\n');
  });
  return `#!/bin/sh
# Gives each service its rights on an Apache Kafka with an authorizer: it writes and reads its own topics and no other.
# Generated from libs/contracts/src/topics.ts: WEIR_UPDATE_DOCS=1 npx vitest run --project unit libs/contracts
#
#   BOOTSTRAP=broker:9092 COMMAND_CONFIG=admin.properties sh infra/kafka/acls.sh
#
# KAFKA_ACLS: the command (kafka-acls.sh); PREFIX: what the users' names begin with (weir-, so weir-gateway, weir-metering …).
set -eu
KAFKA_ACLS="\${KAFKA_ACLS:-kafka-acls.sh}"
PREFIX="\${PREFIX:-weir-}"

add() {
  user="$1"
  shift
  "$KAFKA_ACLS" --bootstrap-server "$BOOTSTRAP" \${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} --add --force --allow-principal "$user" "$@"
}

${sections.join('\n\n')}
`;
}
