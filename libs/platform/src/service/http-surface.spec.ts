import fastify from 'fastify';
import { expect, it } from 'vitest';
import { mountHealth } from './http-surface.ts';
import { Readiness } from './readiness.ts';

it.each([
  ['an internal port', false, 'degraded', { outbox: { state: 'degraded', detail: 'late' } }],
  ['a public port, without the details', true, 'ready', { outbox: true }],
])('/health/ready?verbose of a degraded process is 200 on %s', async (_where, isPublic, status, checks) => {
  const readiness = new Readiness();
  readiness.add('outbox', () => ({ state: 'degraded', detail: 'late' }));
  const server = fastify();
  mountHealth(server, readiness, { isPublic });
  const response = await server.inject('/health/ready?verbose');
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual({ status, checks });
  expect((await server.inject('/health/ready')).json()).toEqual({ status: 'ready', checks: { outbox: true } });
});
