// Runs Java with the arguments given, and ends it when this process is told to end or its input closes:
// a test run that is killed leaves no Kafka behind.
import { spawn } from 'node:child_process';

const KILL_AFTER_MS = 10_000;

const java = spawn('java', process.argv.slice(2), { stdio: ['ignore', 'inherit', 'inherit'] });
const end = () => {
  java.kill('SIGTERM');
  setTimeout(() => java.kill('SIGKILL'), KILL_AFTER_MS).unref();
};
process.on('SIGTERM', end);
process.on('SIGINT', end);
process.stdin.on('end', end).on('error', end).resume();
// The log goes to whoever started this; when that is gone, the end of the input says so too.
process.stdout.on('error', () => undefined);
java.on('error', (error) => {
  console.error(`Java could not be started: ${error.message}`);
  process.exit(1);
});
java.on('exit', () => process.exit(0));
