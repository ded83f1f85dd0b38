import { beforeAll, describe, expect, it } from 'vitest';
import { prepareDatabase, prepareDatabaseScript } from './prepare-database.ts';
import { queryOnce, specDatabase, type SpecDatabase } from './database.fixture.ts';

const services = ['auth', 'registry', 'metering', 'billing'];
const roles = { services, passwords: Object.fromEntries(services.map((name) => [name, `test-${name}`])), busPassword: 'test-bus' };

let database: SpecDatabase;

beforeAll(async () => {
  database = await specDatabase();
});

describe('a prepared database', () => {
  it('lets a service make tables in its own schema, which its unqualified names mean', async () => {
    await queryOnce(database.urlOf('billing'), 'create table secrets (text text)');
    const rows = await queryOnce(database.adminUrl, `select schemaname, tableowner from pg_tables where tablename = 'secrets'`);
    expect(rows).toEqual([{ schemaname: 'billing', tableowner: 'billing' }]);
  });

  it.each([
    ['read a table of another service', 'select * from billing.secrets'],
    ['see that another schema has tables it could use', 'create table billing.mine (id int)'],
    ['read the bus behind its back', 'create table bus.mine (id int)'],
    ['make tables in public', 'create table public.mine (id int)'],
    ['make schemas', 'create schema mine'],
    ['make roles', 'create role mine'],
    ['act as another service', 'set role billing'],
  ])('a service cannot %s', async (_what, statement) => {
    await expect(queryOnce(database.urlOf('auth'), statement)).rejects.toThrow(/permission denied/);
  });

  it('can be prepared again and by several at once', async () => {
    await Promise.all(Array.from({ length: 4 }, () => prepareDatabase(database.adminUrl, roles)));
    const rows = await queryOnce(database.urlOf('auth'), 'select current_user, current_schema');
    expect(rows).toEqual([{ current_user: 'auth', current_schema: 'auth' }]);
  });

  it('can be prepared by an administrator who is not a superuser', async () => {
    const name = `${database.name}_plain`;
    await queryOnce(database.adminUrl, `create role ${name} login createrole password 'plain'`);
    await queryOnce(database.adminUrl, `create database ${name} owner ${name}`);
    // The roles of the bus exist on this server; elsewhere the administrator would have created them and so could grant them.
    await queryOnce(database.adminUrl, `grant bus, bus_client to ${name} with admin option`);
    const url = new URL(database.adminUrl);
    Object.assign(url, { username: name, password: 'plain', pathname: `/${name}` });
    await prepareDatabase(url.href, { services: [`${name}_svc`], passwords: { [`${name}_svc`]: 'svc' }, busPassword: 'test-bus' });
    Object.assign(url, { username: `${name}_svc`, password: 'svc' });
    await queryOnce(url.href, 'create table things (id int)');
    await expect(queryOnce(url.href, 'create table bus.things (id int)')).rejects.toThrow(/permission denied/);
  });

  it('refuses a role that is mightier than a service may be', async () => {
    const name = `${database.name}_mighty`;
    await queryOnce(database.adminUrl, `create role ${name} superuser`);
    await expect(
      prepareDatabase(database.adminUrl, { services: [name], passwords: { [name]: 'x' }, busPassword: 'test-bus' }),
    ).rejects.toThrow(/would undo the separation/);
  });

  it('can be prepared by hand from the script', async () => {
    const name = `${database.name}_hand`;
    await queryOnce(database.adminUrl, `create database ${name}`);
    const url = new URL(database.adminUrl);
    url.pathname = `/${name}`;
    const script = prepareDatabaseScript([`${name}_svc`], [`${name}_client`], name)
      .replace('create role bus_client;\n', '')
      .replace(/create role "bus";\n.*\n/, '');
    await queryOnce(url.href, script);
    const rows = await queryOnce(url.href, `select nspname from pg_namespace where nspname = '${name}_svc'`);
    expect(rows).toHaveLength(1);
  });
});
