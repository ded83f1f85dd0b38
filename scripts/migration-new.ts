// Writes a new migration for a service:
//
//   node scripts/migration-new.ts <service> <name_in_snake_case>
//
// Compares prisma/<service>/schema.prisma with the snapshot that lies beside the last migration. Needs no database.
// What Prisma cannot say (row-level security, checks, functions) is added to the new file by hand before it is committed.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { SchemaEngine } from '@prisma/schema-engine-wasm';

const REPOSITORY_ROOT = path.resolve(import.meta.dirname, '..');
/** Exit code of the engine's comparison: there are differences. */
const DIFFERENT = 2;

const [service, name] = process.argv.slice(2);
if (service === undefined || name === undefined || !/^[a-z0-9_]+$/.test(name)) {
  console.error('usage: node scripts/migration-new.ts <service> <name_in_snake_case>');
  process.exit(64); // EX_USAGE of sysexits.h
}
const folder = path.join(REPOSITORY_ROOT, 'prisma', service);
const schemaFile = path.join(folder, 'schema.prisma');
if (!existsSync(schemaFile)) {
  console.error(`there is no ${path.relative(REPOSITORY_ROOT, schemaFile)}`);
  process.exit(66); // EX_NOINPUT
}
const schema = readFileSync(schemaFile, 'utf8');
const migrations = path.join(folder, 'migrations');
const names = existsSync(migrations)
  ? readdirSync(migrations)
      .filter((entry) => existsSync(path.join(migrations, entry, 'migration.sql')))
      .sort()
  : [];
const sql = await difference(previousSchema(), schema);
if (sql === null) {
  console.log('The schema has not changed since the last migration.');
} else {
  const target = path.join(migrations, `${String(names.length + 1).padStart(4, '0')}_${name}`);
  mkdirSync(target, { recursive: true });
  writeFileSync(path.join(target, 'migration.sql'), sql);
  writeFileSync(path.join(target, 'schema.prisma'), schema);
  console.log(`${path.relative(REPOSITORY_ROOT, target)}/migration.sql`);
}

function previousSchema(): string | null {
  const last = names.at(-1);
  return last === undefined ? null : readFileSync(path.join(migrations, last, 'schema.prisma'), 'utf8');
}

/** The SQL that leads from one schema to the other, or null when they mean the same. */
async function difference(from: string | null, to: string): Promise<string | null> {
  const engine = await SchemaEngine.new({ datamodels: [['schema.prisma', to]] }, () => {}, noDatabase());
  const result = await engine.diff({
    from: from === null ? { tag: 'empty' } : { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: from }] },
    to: { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content: to }] },
    script: true,
    exitCode: true,
    filters: { externalTables: [], externalEnums: [] },
  });
  if (result.exitCode !== DIFFERENT) return null;
  // The schema exists already, is not `public`, and is found by the connection's search path.
  return (result.stdout ?? '').replace(/^-- CreateSchema\nCREATE SCHEMA IF NOT EXISTS "public";\n+/, '');
}

/** The engine asks for a connection even when it compares two files; this one only answers its greeting. */
function noDatabase(): ReturnType<typeof bindMigrationAwareSqlAdapterFactory> {
  const refuse = async (): Promise<never> => {
    throw new Error('this script has no database');
  };
  const connect = async () => ({
    provider: 'postgres' as const,
    adapterName: 'none',
    queryRaw: async () => ({ columnNames: [], columnTypes: [], rows: [] }),
    executeRaw: async () => 0,
    executeScript: async () => {},
    dispose: async () => {},
    startTransaction: refuse,
    getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
  });
  return bindMigrationAwareSqlAdapterFactory({ provider: 'postgres', adapterName: 'none', connect, connectToShadowDb: connect });
}
