import path from 'node:path';
import { loadSettings, SettingsError } from '@weir/platform/config';
import { Command } from 'commander';
import { GraphError } from '../seed/graph-client.ts';
import { launcherSettings } from '../settings.ts';
import { StartError } from '../start-error.ts';
import { homeAt } from '../state/home.ts';
import { Terminal } from '../terminal/terminal.ts';
import { demo } from './demo.command.ts';
import { start } from './start.command.ts';

export interface CommandContext {
  /** Folder of the project. */
  readonly root: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Parses the command line and runs one command; what goes wrong is said in one sentence, with exit code 1. */
export async function runCommandLine(argv: readonly string[], context: CommandContext): Promise<void> {
  const terminal = new Terminal();
  try {
    if (process.platform === 'win32') throw new StartError('Weir does not run on Windows itself: use WSL 2, Linux or macOS.');
    const settings = loadSettings(launcherSettings, context.environment);
    const home = homeAt(path.resolve(context.root, settings.home));
    const program = new Command('weir').description('Hosts AI models for many tenants: subscribe, call, meter, bill.');
    program
      .command('start')
      .description('starts the whole platform on this machine and seeds a demonstration')
      .option('--fresh', 'deletes all data first, after asking')
      .option('--yes', 'with --fresh: does not ask')
      .action((options: { fresh?: boolean; yes?: boolean }) =>
        start({ ...context, settings, home, terminal, isFresh: options.fresh === true, isConfirmed: options.yes === true }),
      );
    program
      .command('demo')
      .description('sends a picture and a sentence to the running platform and follows them to the invoice')
      .action(() => demo({ ...context, home, terminal }));
    await program.parseAsync([...argv]);
  } catch (error) {
    terminal.line(`weir: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof StartError || error instanceof SettingsError || error instanceof GraphError) return error.message;
  // Not foreseen: the stack helps whoever has to mend it.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
