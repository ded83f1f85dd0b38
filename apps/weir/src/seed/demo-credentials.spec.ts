import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readDemoCredentials, writeDemoCredentials, type DemoCredentials } from './demo-credentials.ts';

const credentials: DemoCredentials = {
  WEIR_URL: 'http://127.0.0.1:4000',
  WEIR_API_KEY: 'weir_sk_abc',
  WEIR_ADMIN_EMAIL: 'admin@acme.example',
  WEIR_ADMIN_PASSWORD: 'a-b_c',
  WEIR_OPERATOR_EMAIL: 'operator@weir.example',
  WEIR_OPERATOR_PASSWORD: 'd-e_f',
};

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'weir-demo-'));
  file = path.join(folder, 'demo.env');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('demo.env can be read by its owner alone, by us and by a shell', () => {
  writeDemoCredentials(file, credentials);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readDemoCredentials(file)).toEqual(credentials);
  expect(execFileSync('sh', ['-c', `. ${file}; echo "$WEIR_API_KEY at $WEIR_URL"`], { encoding: 'utf8' })).toBe(
    'weir_sk_abc at http://127.0.0.1:4000\n',
  );
});

test('a demo.env that is not whole counts as none, so that the seed completes it', () => {
  writeFileSync(file, 'WEIR_URL=http://127.0.0.1:4000\n');
  expect(readDemoCredentials(file)).toBeNull();
});
