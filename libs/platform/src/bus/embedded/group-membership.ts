import type pg from 'pg';
import type { Log, PartitionPlace } from './log.ts';

/** A partition that a member owns, from the commit of its group on. */
export interface OwnedPartition {
  readonly place: PartitionPlace;
  /** The fence: a commit with an older epoch is refused. */
  readonly epoch: number;
  readonly committedOffset: number;
}

/** What a member learns from a round of its group. */
export interface GroupRound {
  readonly owned: readonly OwnedPartition[];
  /** Ids of owned partitions that others wait for; to be released after the batch in hand. */
  readonly surplus: ReadonlySet<number>;
  /** Does it own all that is due to it, of topics that all exist? */
  readonly hasShare: boolean;
  /** Did this round add or remove a member, or set partitions free? Then the others should have a round soon. */
  readonly changed: boolean;
}

interface GroupRow {
  readonly id: number;
  readonly topic: string;
  readonly partition: number;
  owner: string | null;
  epoch: string;
  readonly committed_offset: string;
}

/**
 * A member of a consumer group. Ownership stands in the log itself: members meet in short transactions, one at a time
 * per group, in which the dead are struck off, shares are counted and free partitions are claimed. Nobody takes what
 * another living member holds; who has more than its share gives it back (cooperative rebalance).
 */
export class GroupMembership {
  private readonly log: Log;
  private readonly group: string;
  private readonly memberId: string;
  private readonly topics: readonly string[];
  private readonly sessionTimeoutMs: number;

  constructor(options: { log: Log; group: string; memberId: string; topics: readonly string[]; sessionTimeoutMs: number }) {
    this.log = options.log;
    this.group = options.group;
    this.memberId = options.memberId;
    this.topics = options.topics;
    this.sessionTimeoutMs = options.sessionTimeoutMs;
  }

  /** Shows that the member lives, and settles who owns what. */
  async round(): Promise<GroupRound> {
    return this.log.transaction(async (client) => {
      await this.lockGroup(client);
      const joined = await client.query(
        `insert into bus.group_member as member (group_name, member_id, topics, heartbeat_at) values ($1, $2, $3, clock_timestamp())
         on conflict (group_name, member_id) do update set heartbeat_at = excluded.heartbeat_at returning (xmax = 0) as is_new`,
        [this.group, this.memberId, this.topics],
      );
      // While PostgreSQL itself was away nobody could show that it lives: silence counts from its start.
      const dead = await client.query(
        `delete from bus.group_member where group_name = $1
         and greatest(heartbeat_at, pg_postmaster_start_time()) < clock_timestamp() - make_interval(secs => $2 / 1000.0)`,
        [this.group, this.sessionTimeoutMs],
      );
      await client.query(
        `insert into bus.group_partition (group_name, partition_id)
         select $1, id from bus.topic_partition where topic = any($2) on conflict do nothing`,
        [this.group, this.topics],
      );
      await client.query(
        `update bus.group_partition set owner = null where group_name = $1 and owner is not null
         and owner not in (select member_id from bus.group_member where group_name = $1)`,
        [this.group],
      );
      const partitions = await client.query<GroupRow>(
        `select p.id, p.topic, p.partition, g.owner, g.epoch, g.committed_offset
         from bus.group_partition g join bus.topic_partition p on p.id = g.partition_id
         where g.group_name = $1 and p.topic = any($2) order by p.topic, p.partition`,
        [this.group, this.topics],
      );
      const members = await client.query<{ member_id: string; topics: string[] }>(
        'select member_id, topics from bus.group_member where group_name = $1 order by member_id',
        [this.group],
      );
      const changed = joined.rows[0]?.is_new === true || (dead.rowCount ?? 0) > 0;
      return this.settle(client, partitions.rows, members.rows, changed);
    });
  }

  /**
   * Commits how far a partition was handled.
   *
   * @returns false when another member owns it by now: what was handled since its last commit comes again there
   */
  async commit(partition: OwnedPartition, nextOffset: number): Promise<boolean> {
    const rows = await this.log.query(
      'bus.commit',
      `update bus.group_partition set committed_offset = $4
       where group_name = $1 and partition_id = $2 and owner = $3 and epoch = $5 returning 1 as done`,
      [this.group, partition.place.id, this.memberId, nextOffset, partition.epoch],
    );
    return rows.length > 0;
  }

  /** Gives a partition back; another member may claim it. */
  async release(partition: OwnedPartition): Promise<void> {
    await this.log.query(
      'bus.release',
      'update bus.group_partition set owner = null where group_name = $1 and partition_id = $2 and owner = $3 and epoch = $4',
      [this.group, partition.place.id, this.memberId, partition.epoch],
    );
  }

  /** Leaves the group; whatever it still owns becomes free. */
  async leave(): Promise<void> {
    await this.log.transaction(async (client) => {
      await this.lockGroup(client);
      await client.query('delete from bus.group_member where group_name = $1 and member_id = $2', [this.group, this.memberId]);
      await client.query('update bus.group_partition set owner = null where group_name = $1 and owner = $2', [this.group, this.memberId]);
    });
  }

  private async settle(
    client: pg.PoolClient,
    partitions: readonly GroupRow[],
    members: readonly { readonly member_id: string; readonly topics: readonly string[] }[],
    changed: boolean,
  ): Promise<GroupRound> {
    const owned: OwnedPartition[] = [];
    const surplus = new Set<number>();
    let hasShare = true;
    for (const [index, topic] of this.topics.toSorted().entries()) {
      const ofTopic = partitions.filter((row) => row.topic === topic);
      const readers = members.filter((member) => member.topics.includes(topic)).map((member) => member.member_id);
      const share = shareOf(this.memberId, readers, ofTopic.length, index);
      const mine = ofTopic.filter((row) => row.owner === this.memberId);
      const wanted = ofTopic.filter((row) => row.owner === null).slice(0, Math.max(0, share - mine.length));
      const claimed = await this.claim(client, wanted);
      for (const row of mine.slice(share)) surplus.add(row.id);
      for (const row of [...mine, ...claimed]) {
        owned.push({
          place: { id: row.id, topic, partition: row.partition },
          epoch: Number(row.epoch),
          committedOffset: Number(row.committed_offset),
        });
      }
      if (ofTopic.length === 0 || mine.length + claimed.length < share) hasShare = false;
    }
    return { owned, surplus, hasShare, changed };
  }

  private async claim(client: pg.PoolClient, rows: readonly GroupRow[]): Promise<GroupRow[]> {
    if (rows.length === 0) return [];
    const claimed = await client.query<{ partition_id: number; epoch: string }>(
      `update bus.group_partition set owner = $3, epoch = epoch + 1 where group_name = $1 and partition_id = any($2) returning partition_id, epoch`,
      [this.group, rows.map((row) => row.id), this.memberId],
    );
    const epochs = new Map(claimed.rows.map((row) => [row.partition_id, row.epoch]));
    return rows.map((row) => ({ ...row, owner: this.memberId, epoch: epochs.get(row.id) ?? row.epoch }));
  }

  private async lockGroup(client: pg.PoolClient): Promise<void> {
    await client.query(`select pg_advisory_xact_lock(hashtextextended('weir.bus.group ' || $1, 0))`, [this.group]);
  }
}

/**
 * How many of a topic's partitions are due to a member: as equal as can be. Who gets one more than others turns with
 * the topic, so that the first member does not get the rest of every topic.
 */
export function shareOf(member: string, readers: readonly string[], partitions: number, turn: number): number {
  const rank = readers.indexOf(member);
  if (rank < 0) return 0;
  const least = Math.floor(partitions / readers.length);
  return least + ((rank + turn) % readers.length < partitions % readers.length ? 1 : 0);
}
