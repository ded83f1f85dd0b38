import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ESLint } from 'eslint';
import { beforeAll, describe, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');

describe('module boundaries', () => {
  let eslint: ESLint;

  beforeAll(() => {
    // Without a project graph the rule only warns that it was skipped.
    execFileSync(process.execPath, ['node_modules/nx/dist/bin/nx.js', 'show', 'projects'], { cwd: root, stdio: 'ignore' });
    eslint = new ESLint({ cwd: root });
  }, 120_000);

  test.each([
    ['kernel-uses-contracts', 'libs/kernel/src/fixture.ts'],
    ['pure-uses-platform', 'libs/access/src/fixture.ts'],
    ['platform-uses-testing', 'libs/platform/src/fixture.ts'],
    ['app-uses-app', 'apps/auth/src/fixture.ts'],
    ['app-uses-testing', 'apps/auth/src/fixture.ts'],
    ['pure-uses-testing', 'libs/onnx/src/fixture.ts'],
  ])('%s fails the lint', async (fixture, lintedAs) => {
    expect(await rulesBrokenBy(fixture, lintedAs)).toEqual(['@nx/enforce-module-boundaries']);
  });

  test.each([
    ['app-uses-libraries', 'apps/auth/src/fixture.ts'],
    ['app-uses-testing', 'apps/auth/src/fixture.spec.ts'],
    ['pure-uses-testing', 'libs/onnx/src/fixture.spec.ts'],
  ])('%s is allowed as %s', async (fixture, lintedAs) => {
    expect(await rulesBrokenBy(fixture, lintedAs)).toEqual([]);
  });

  async function rulesBrokenBy(fixture: string, lintedAs: string): Promise<(string | null)[]> {
    const text = readFileSync(path.join(root, 'tests/fixtures/boundaries', `${fixture}.ts`), 'utf8');
    const results = await eslint.lintText(text, { filePath: path.join(root, lintedAs) });
    return [...new Set(results.flatMap((result) => result.messages.map((message) => message.ruleId)))];
  }
});
