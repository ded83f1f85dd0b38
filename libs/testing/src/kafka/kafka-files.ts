import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const projectFolder = path.resolve(import.meta.dirname, '../../../..');
/** Committed settings of the broker. */
export const kafkaSettingsFolder = path.join(projectFolder, 'infra/kafka');

/** Some 45 jars, 44 MB; a slow network gets its time. */
const FETCH_TIMEOUT_MS = 300_000;

/**
 * The folder with Kafka's jars; fetched with Maven once for each state of `infra/kafka/pom.xml`.
 *
 * @throws Error with one sentence that says what to install
 */
export async function kafkaJars(): Promise<string> {
  await needs('java', ['-version'], 'Install Java 17 or later (such as openjdk-17-jre-headless): the Kafka tests run a real Apache Kafka.');
  const pom = path.join(kafkaSettingsFolder, 'pom.xml');
  const version = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 16);
  const cache = path.join(projectFolder, '.weir/kafka');
  const jars = path.join(cache, version);
  if (existsSync(jars)) return jars;

  await needs('mvn', ['--version'], 'Install Maven 3 (such as the package maven): the Kafka tests fetch Apache Kafka with it.');
  mkdirSync(cache, { recursive: true });
  // Beside its place, and renamed when it is whole: a fetch that was cut off is not taken for one that is done.
  const partial = path.join(cache, `${version}.${process.pid}`);
  try {
    await run('mvn', ['-B', '-q', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${partial}`], {
      timeout: FETCH_TIMEOUT_MS,
      cwd: cache,
    });
    if (!existsSync(jars)) renameSync(partial, jars);
  } catch (error) {
    throw new Error('Maven could not fetch Apache Kafka; check the network and the settings of Maven.', { cause: error });
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return jars;
}

async function needs(command: string, args: readonly string[], remedy: string): Promise<void> {
  try {
    await run(command, args);
  } catch (error) {
    throw new Error(remedy, { cause: error });
  }
}
