import type { Type } from '@nestjs/common';
import { ArgsType, Field, Int, ObjectType } from '@nestjs/graphql';
import { AppError } from '@weir/kernel';
import { isStorable } from './id-input.ts';

export const DEFAULT_PAGE_SIZE = 20;
export const MAX_PAGE_SIZE = 100;
const MAX_CURSOR_LENGTH = 1_000;

/** Arguments of every list (Relay's cursor connections, forwards). */
@ArgsType()
export class PageArgs {
  @Field(() => Int, { nullable: true, description: 'How many to return, 1 to 100.', defaultValue: DEFAULT_PAGE_SIZE })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'Return what follows this cursor.' })
  after?: string | null;
}

@ObjectType('PageInfo', { description: 'Where a page stands in its list.' })
export class PageInfo {
  @Field(() => Boolean, { description: 'Is there more behind this page?' })
  hasNextPage!: boolean;

  @Field(() => Boolean, { description: 'Is there more before this page?' })
  hasPreviousPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Cursor of the first node of this page.' })
  startCursor!: string | null;

  @Field(() => String, { nullable: true, description: 'Cursor of the last node: give it as `after` to go on.' })
  endCursor!: string | null;
}

export interface Edge<T> {
  readonly cursor: string;
  readonly node: T;
}

export interface Connection<T> {
  readonly edges: readonly Edge<T>[];
  readonly nodes: readonly T[];
  readonly pageInfo: PageInfo;
}

/**
 * The connection type of a node type. Use it once for each node:
 * `@ObjectType() class ModelConnection extends connectionOf(Model, 'Model') {}`.
 *
 * @param name name of the node type in the graph; the edge is called `<name>Edge`
 */
export function connectionOf<T>(node: Type<T>, name: string): Type<Connection<T>> {
  @ObjectType(`${name}Edge`, { description: `A ${name} and its place in the list.` })
  class NodeEdge implements Edge<T> {
    @Field(() => String, { description: 'Opaque place in the list.' })
    cursor!: string;

    @Field(() => node, { description: 'What stands there.' })
    node!: T;
  }

  @ObjectType({ isAbstract: true })
  class NodeConnection implements Connection<T> {
    @Field(() => [NodeEdge], { description: 'The page, with cursors.' })
    edges!: NodeEdge[];

    @Field(() => [node], { description: 'The page, without cursors.' })
    nodes!: T[];

    @Field(() => PageInfo, { description: 'Where the page stands.' })
    pageInfo!: PageInfo;
  }
  return NodeConnection;
}

/** What a store needs to read one page. */
export interface PageRequest {
  readonly first: number;
  /** Rows to read: one more than `first`, which tells whether there is a next page. */
  readonly take: number;
  /** Sort key of the row after which to begin, as `keyOf` of `pageOf` gave it; null for the first page. */
  readonly after: readonly string[] | null;
}

/**
 * Checks the arguments of a list.
 *
 * @throws request.invalid `first` is not within 1–100, or `after` is no cursor of ours
 */
export function pageRequest(args: PageArgs): PageRequest {
  const first = args.first ?? DEFAULT_PAGE_SIZE;
  if (!Number.isInteger(first) || first < 1 || first > MAX_PAGE_SIZE)
    throw new AppError('request.invalid', { field: 'first', message: `first: must be a whole number from 1 to ${MAX_PAGE_SIZE}.` });
  return { first, take: first + 1, after: args.after === null || args.after === undefined ? null : decodeCursor(args.after) };
}

/**
 * One page of a list.
 *
 * @param rows up to `take` rows of `pageRequest(args)`, in order
 * @param args the arguments, or what `pageRequest` made of them
 * @param keyOf the row's sort key: what `after` of the next page holds
 */
export function pageOf<T>(rows: readonly T[], args: PageArgs | PageRequest, keyOf: (row: T) => string | readonly string[]): Connection<T> {
  const page = 'take' in args ? args : pageRequest(args);
  const nodes = rows.slice(0, page.first);
  const edges = nodes.map((node) => ({ node, cursor: encodeCursor(keyOf(node)) }));
  return {
    edges,
    nodes,
    pageInfo: {
      hasNextPage: rows.length > page.first,
      hasPreviousPage: page.after !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** A sort key as an opaque cursor. */
export function encodeCursor(key: string | readonly string[]): string {
  return Buffer.from(JSON.stringify(typeof key === 'string' ? [key] : key)).toString('base64url');
}

/** The answer to a cursor that no page of the list gave. */
export function cursorError(): AppError {
  return new AppError('request.invalid', { field: 'after', message: 'after: must be a cursor from an earlier page.' });
}

/** An instant as `Date.toISOString` writes it, in the years that PostgreSQL, Prisma and `Date` all know. */
const INSTANT_PATTERN = /^(?:19|[2-9]\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * The instant in a sort key.
 *
 * @throws request.invalid  it is none, or is before 1900 or after 9999
 */
export function cursorInstant(part: string | undefined): Date {
  const instant = new Date(part ?? '');
  if (part === undefined || !INSTANT_PATTERN.test(part) || Number.isNaN(instant.getTime())) throw cursorError();
  return instant;
}

/** @throws request.invalid it is no cursor of ours, or holds what the database cannot be asked for */
export function decodeCursor(cursor: string): readonly string[] {
  if (cursor.length <= MAX_CURSOR_LENGTH) {
    const parts = parsed(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(parts) && parts.length > 0 && parts.every((part) => typeof part === 'string' && isStorable(part))) return parts;
  }
  throw cursorError();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
