#!/bin/sh
# Gives each service its rights on an Apache Kafka with an authorizer: it writes and reads its own topics and no other.
# Generated from libs/contracts/src/topics.ts: WEIR_UPDATE_DOCS=1 npx vitest run --project unit libs/contracts
#
#   BOOTSTRAP=broker:9092 COMMAND_CONFIG=admin.properties sh infra/kafka/acls.sh
#
# KAFKA_ACLS: the command (kafka-acls.sh); PREFIX: what the users' names begin with (weir-, so weir-gateway, weir-metering …).
set -eu
KAFKA_ACLS="${KAFKA_ACLS:-kafka-acls.sh}"
PREFIX="${PREFIX:-weir-}"

add() {
  user="$1"
  shift
  "$KAFKA_ACLS" --bootstrap-server "$BOOTSTRAP" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} --add --force --allow-principal "$user" "$@"
}

# auth
add "User:${PREFIX}auth" --topic auth.tenants --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}auth" --topic auth.api-keys --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}auth" --topic auth.sessions --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}auth" --topic auth.signing-keys --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}auth" --topic auth.dead --operation Describe --operation DescribeConfigs --operation Create --operation Write
# Its group, and those of its followers, which never commit.
add "User:${PREFIX}auth" --group auth --resource-pattern-type prefixed --operation Read --operation Describe
add "User:${PREFIX}auth" --group follow-auth- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete
# To read default.replication.factor when it creates topics.
add "User:${PREFIX}auth" --cluster --operation DescribeConfigs

# billing
add "User:${PREFIX}billing" --topic billing.entitlements --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}billing" --topic billing.prices --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}billing" --topic billing.usage-mismatches --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}billing" --topic billing.dead --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}billing" --topic auth.tenants --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}billing" --topic metering.usage-rolled --operation Describe --operation DescribeConfigs --operation Create --operation Read
# Its group, and those of its followers, which never commit.
add "User:${PREFIX}billing" --group billing --resource-pattern-type prefixed --operation Read --operation Describe
add "User:${PREFIX}billing" --group follow-billing- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete
# To read default.replication.factor when it creates topics.
add "User:${PREFIX}billing" --cluster --operation DescribeConfigs

# gateway
add "User:${PREFIX}gateway" --topic inference.usage --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}gateway" --topic gateway.dead --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}gateway" --topic auth.tenants --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic auth.api-keys --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic auth.sessions --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic auth.signing-keys --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic registry.deployments --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic billing.entitlements --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic billing.prices --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}gateway" --topic inference.workers --operation Describe --operation DescribeConfigs --operation Create --operation Read
# Its group, and those of its followers, which never commit.
add "User:${PREFIX}gateway" --group gateway --resource-pattern-type prefixed --operation Read --operation Describe
add "User:${PREFIX}gateway" --group follow-gateway- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete
# To read default.replication.factor when it creates topics.
add "User:${PREFIX}gateway" --cluster --operation DescribeConfigs

# metering
add "User:${PREFIX}metering" --topic metering.usage-rolled --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}metering" --topic metering.dead --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}metering" --topic billing.usage-mismatches --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}metering" --topic inference.usage --operation Describe --operation DescribeConfigs --operation Create --operation Read
# Its group, and those of its followers, which never commit.
add "User:${PREFIX}metering" --group metering --resource-pattern-type prefixed --operation Read --operation Describe
add "User:${PREFIX}metering" --group follow-metering- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete
# To read default.replication.factor when it creates topics.
add "User:${PREFIX}metering" --cluster --operation DescribeConfigs

# registry
add "User:${PREFIX}registry" --topic registry.deployments --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}registry" --topic registry.placements --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}registry" --topic registry.dead --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}registry" --topic auth.tenants --operation Describe --operation DescribeConfigs --operation Create --operation Read
add "User:${PREFIX}registry" --topic inference.workers --operation Describe --operation DescribeConfigs --operation Create --operation Read
# Its group, and those of its followers, which never commit.
add "User:${PREFIX}registry" --group registry --resource-pattern-type prefixed --operation Read --operation Describe
add "User:${PREFIX}registry" --group follow-registry- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete
# To read default.replication.factor when it creates topics.
add "User:${PREFIX}registry" --cluster --operation DescribeConfigs

# worker
add "User:${PREFIX}worker" --topic inference.workers --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}worker" --topic worker.dead --operation Describe --operation DescribeConfigs --operation Create --operation Write
add "User:${PREFIX}worker" --topic registry.placements --operation Describe --operation DescribeConfigs --operation Create --operation Read
# Its group, and those of its followers, which never commit.
add "User:${PREFIX}worker" --group worker --resource-pattern-type prefixed --operation Read --operation Describe
add "User:${PREFIX}worker" --group follow-worker- --resource-pattern-type prefixed --operation Read --operation Describe --operation Delete
# To read default.replication.factor when it creates topics.
add "User:${PREFIX}worker" --cluster --operation DescribeConfigs
