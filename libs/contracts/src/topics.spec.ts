import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { kafkaAcls } from './kafka-acls.ts';
import { ALL_TOPICS, busGrants, TOPICS, topicsOf } from './topics.ts';

describe('the rights of services on the bus', () => {
  const grants = busGrants(ALL_TOPICS);
  const may = (role: string, topic: string): { canWrite: boolean; canRead: boolean } | undefined =>
    grants.find((grant) => grant.role === role && grant.topic === topic);

  it('are those of the table of topics, and the dead letters of each service', () => {
    expect(may('auth', 'auth.api-keys')).toMatchObject({ canWrite: true, canRead: false });
    expect(may('gateway', 'auth.api-keys')).toMatchObject({ canWrite: false, canRead: true });
    expect(may('worker', 'auth.api-keys')).toBeUndefined();
    expect(may('worker', 'worker.dead')).toMatchObject({ canWrite: true, canRead: false });
    for (const topic of ALL_TOPICS)
      expect(grants.filter((grant) => grant.topic === topic.name && grant.canWrite).map((grant) => grant.role)).toEqual(topic.writtenBy);
  });

  it('stand in infra/kafka/acls.sh as access control lists', () => {
    const script = new URL('../../../infra/kafka/acls.sh', import.meta.url);
    if (process.env['WEIR_UPDATE_DOCS'] === '1') writeFileSync(script, kafkaAcls(ALL_TOPICS));
    expect(readFileSync(script, 'utf8')).toBe(kafkaAcls(ALL_TOPICS));
  });
});

describe('the topics of a service', () => {
  it('are those that it writes or reads, with the partitions of the size class and the configured retention', () => {
    const topics = topicsOf('metering', { size: 'large', retentionDays: 7 });
    expect(topics.map(({ name, partitions, retentionMs }) => [name, partitions, retentionMs])).toEqual([
      ['billing.usage-mismatches', 1, undefined],
      ['inference.usage', 64, 7 * 86_400_000],
      ['metering.usage-rolled', 16, 7 * 86_400_000],
      ['metering.dead', 1, 90 * 86_400_000],
    ]);
  });

  it('are as the table has them in the smallest class with 30 days', () => {
    expect(topicsOf('metering', { size: 'small', retentionDays: 30 })).toContainEqual(TOPICS['inference.usage']);
  });
});
