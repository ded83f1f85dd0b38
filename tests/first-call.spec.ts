import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Decimal } from '@weir/kernel';
import { isAlive } from '@weir/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allReceipts, invoicedQuantities, openInvoice, quantitiesOf, totalOf } from './harness/books.ts';
import { eventually } from './harness/eventually.ts';
import { aText, type PlatformClient } from './harness/platform-client.ts';
import { fileMode, freePort, runLauncher, RunningPlatform } from './harness/running-platform.ts';

const LAUNCHER = new URL('../apps/weir/dist/main.js', import.meta.url).pathname;
const SEVEN = readFileSync(new URL('../models/digits/examples/seven.png', import.meta.url)).toString('base64');

/** Text of trusted HTML, whose entities are numeric. */
const unescaped = (html: string): string => html.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));

describe('from a fresh start to a metered, priced answer', () => {
  let platform: RunningPlatform;
  let client: PlatformClient;

  /** What the commands print that call the platform, run one after the other in one shell, in the folder that holds `.weir`. */
  async function pasted(commands: readonly string[]): Promise<string[]> {
    const script = ['set -e', ...commands.flatMap((command) => [command, 'echo; echo ====='])].join('\n');
    const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: path.dirname(platform.home) });
    return stdout
      .split('=====')
      .map((answer) => answer.trim())
      .filter((answer) => answer !== '');
  }

  beforeAll(async () => {
    platform = await RunningPlatform.start();
    client = platform.client;
  });
  afterAll(() => platform.stop());

  test('the start prints the address, the sign-in, the key and a curl line that works when pasted', async () => {
    const { output, demo } = platform;
    for (const text of [platform.url, demo.WEIR_ADMIN_EMAIL, demo.WEIR_ADMIN_PASSWORD, demo.WEIR_API_KEY]) expect(output).toContain(text);
    const begin = output.indexOf('curl ');
    const line = output.slice(begin, output.indexOf('\n\n', begin) === -1 ? undefined : output.indexOf('\n\n', begin));
    const { stdout } = await promisify(execFile)('sh', ['-c', line]);
    expect(JSON.parse(stdout)).toMatchObject({ data: { infer: { output: { labels: [{ label: 'POSITIVE' }, { label: 'NEGATIVE' }] } } } });
  });

  test('every command of the README that calls the platform works when pasted into one shell, in the order of the page', async () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const blocks = [...readme.matchAll(/^```sh\n(.*?)^```/gms)].map((match) => match[1] ?? '').filter((block) => block.includes('curl '));
    expect(blocks).toHaveLength(3);
    await eventually(async () => {
      const [graph, openInference, usage] = (await pasted(blocks)).map((answer) => JSON.parse(answer) as unknown);
      const cost = { amount: expect.stringMatching(/^0\.\d+$/), currency: 'EUR' };
      expect(graph).toEqual({
        data: {
          infer: {
            output: { labels: [expect.objectContaining({ label: 'POSITIVE' }), expect.anything()] },
            cost,
            receiptId: expect.any(String),
          },
        },
      });
      expect(openInference).toMatchObject({ outputs: [{ name: 'label', data: ['POSITIVE', 'NEGATIVE'] }, { name: 'score' }] });
      const quantity = expect.stringMatching(/^\d+$/);
      expect(usage).toEqual({
        data: { usage: { edges: expect.arrayContaining([{ node: { model: 'sentiment', meter: 'input-tokens', quantity, cost } }]) } },
      });
    });
  });

  /** What the commands of a page print. */
  async function answersOf(page: string): Promise<string[]> {
    const html = await (await fetch(platform.url + page, { headers: { accept: 'text/html' } })).text();
    const blocks = [...html.matchAll(/<pre>(.*?)<\/pre>/gs)].map((match) => unescaped(match[1] ?? ''));
    return pasted(['set -a; . .weir/demo.env', ...blocks]);
  }

  test('every command of the pages at / and /graphql works when pasted', async () => {
    const answers = await answersOf('/');
    expect(answers).toHaveLength(4);
    for (const answer of answers) expect(JSON.parse(answer)).not.toHaveProperty(['errors']);
    for (const answer of answers) expect(JSON.parse(answer)).not.toHaveProperty(['error']);
    const [schema, ...others] = await answersOf('/graphql');
    expect(others).toEqual([]);
    expect(schema).toMatch(/^type Query \{$/m);
  });

  test('what the start printed is in demo.env, which only its owner can read', () => {
    expect(fileMode(platform.demoFile)).toBe('600');
    expect(Object.keys(platform.demo).sort()).toEqual([
      'WEIR_ADMIN_EMAIL',
      'WEIR_ADMIN_PASSWORD',
      'WEIR_API_KEY',
      'WEIR_OPERATOR_EMAIL',
      'WEIR_OPERATOR_PASSWORD',
      'WEIR_URL',
    ]);
  });

  test('a picture and a sentence are answered through GraphQL and the Open Inference Protocol', async () => {
    const digit = await client.infer('digits', { image: { base64: SEVEN } });
    expect(digit.output.labels[0]).toMatchObject({ label: '7' });
    const sentiment = await client.infer('sentiment', { text: 'Terrible service and the food was cold.' });
    expect(sentiment.output.labels[0]).toMatchObject({ label: 'NEGATIVE' });
    const answer = await client.openInfer('sentiment', aText('I love this phone, the battery lasts for days.'));
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      model_name: 'sentiment',
      outputs: [{ name: 'label', shape: [1, 2], data: ['POSITIVE', 'NEGATIVE'] }, { name: 'score' }],
    });
    expect(answer.headers.get('ratelimit-policy')).toMatch(/^"requests";q=\d+;w=60$/);
    expect(answer.headers.get('ratelimit')).toMatch(/^"requests";r=\d+;t=\d+$/);
  });

  test('the receipt of an answer appears in the ledger, with the same quantities and cost', async () => {
    const { receiptId, cost, usage } = await client.infer('digits', { image: { base64: SEVEN } });
    const { receipt } = await eventually(() =>
      client.data<{ receipt: { cost: unknown; quantities: unknown } }>(
        'query ($id: ID!) { receipt(id: $id) { cost { amount currency } quantities { meter quantity } } }',
        { id: receiptId },
      ),
    );
    expect(receipt.cost).toEqual(cost);
    expect(receipt.quantities).toHaveLength(usage.length);
  });

  test('the invoice preview is the ledger to the last digit', async () => {
    const administrator = await platform.administrator();
    await client.infer('sentiment', { text: 'Good.' });
    await eventually(async () => {
      const receipts = await allReceipts(administrator);
      const invoice = await openInvoice(administrator);
      expect(receipts.length).toBeGreaterThan(0);
      expect(invoicedQuantities(invoice)).toEqual(quantitiesOf(receipts));
      expect(new Decimal(invoice.total.amount).toFixed()).toBe(totalOf(receipts));
    });
  });

  test('npm run demo follows a picture and a sentence to the invoice', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [LAUNCHER, 'demo'], {
      env: { PATH: process.env['PATH'], WEIR_HOME: platform.home, WEIR_PORT: String(platform.port) },
    });
    expect(stdout).toMatch(/adds? up/);
  });

  test('a second start in the same folder, and one on the same port, get one clear sentence', async () => {
    const again = await runLauncher(['start'], { WEIR_HOME: platform.home, WEIR_PORT: String(await freePort()) });
    expect(again.code).toBe(1);
    expect(again.output.trim().split('\n')).toHaveLength(1);
    expect(again.output).toMatch(/already|runs/);
    const samePort = await runLauncher(['start'], { WEIR_HOME: `${platform.home}-other`, WEIR_PORT: String(platform.port) });
    expect(samePort.code).toBe(1);
    expect(samePort.output).toContain(String(platform.port));
    expect(samePort.output).not.toMatch(/\n\s+at /);
  });

  test('Ctrl-C leaves no process behind, and the next start finds all data again without showing the key', async () => {
    const pids = platform.pids();
    const { WEIR_API_KEY } = platform.demo;
    const before = (await allReceipts(await platform.administrator())).map((receipt) => receipt.id).sort();
    expect(await platform.stop({ keepData: true })).toBe(0);
    await eventually(() => expect(pids.filter(isAlive)).toEqual([]), 10_000);
    platform = await RunningPlatform.start({ home: platform.home, port: platform.port });
    expect(platform.output).not.toContain(WEIR_API_KEY);
    expect(platform.demo.WEIR_API_KEY).toBe(WEIR_API_KEY);
    expect((await allReceipts(await platform.administrator())).map((receipt) => receipt.id).sort()).toEqual(before);
    await expect(platform.client.infer('digits', { image: { base64: SEVEN } })).resolves.toMatchObject({
      output: { labels: expect.anything() },
    });
  });
});
