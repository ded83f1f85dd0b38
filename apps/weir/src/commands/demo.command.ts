import { ask, QUESTIONS, type AnsweredCall } from '../demo/demonstration-calls.ts';
import { readStatement, untilBilled } from '../demo/statement.ts';
import { signIn } from '../seed/api.ts';
import { readDemoCredentials, type DemoCredentials } from '../seed/demo-credentials.ts';
import { StartError } from '../start-error.ts';
import type { Home } from '../state/home.ts';
import { withTicking, type Terminal } from '../terminal/terminal.ts';
import type { CommandContext } from './command-line.ts';

/** Usage reaches the invoice within a second or two; this is for a machine that is busy with other things. */
const BILLED_TIMEOUT_MS = 60_000;

export interface DemoContext extends CommandContext {
  readonly home: Home;
  readonly terminal: Terminal;
}

/**
 * Sends a picture and a sentence to the running platform, and follows them through receipts and usage to the invoice.
 *
 * @throws StartError when the platform does not run, an answer is wrong, or something does not add up
 */
export async function demo({ home, root, terminal }: DemoContext): Promise<void> {
  const credentials = readDemoCredentials(home.demoFile);
  if (credentials === null)
    throw new StartError(`There is no demonstration in ${home.folder}: start the platform first, with npm start in another terminal.`);
  const owner = await signInOrExplain(credentials);
  const before = await readStatement(credentials.WEIR_URL, owner);
  const calls: AnsweredCall[] = [];
  for (const question of QUESTIONS) {
    const call = await ask(credentials.WEIR_URL, credentials.WEIR_API_KEY, question, root);
    calls.push(call);
    const best = call.output.labels[0];
    terminal.line(
      `${question.model} was shown ${question.shown} and answered ${best?.label} (${((best?.score ?? 0) * 100).toFixed(1)} %) in ${call.latencyMs.toFixed(0)} ms.`,
    );
    terminal.line(
      `  used ${call.usage
        .filter((part) => part.quantity !== '0')
        .map((part) => `${part.quantity} ${part.meter}`)
        .join(', ')}; cost ${call.cost.amount} ${call.cost.currency}; receipt ${call.receiptId}`,
    );
    if (best?.label !== question.expected) throw new StartError(`${question.model} should have answered ${question.expected}.`);
  }
  const { statement, receipts } = await withTicking(
    terminal,
    () => 'following the calls to the invoice',
    untilBilled(credentials.WEIR_URL, owner, before, calls, BILLED_TIMEOUT_MS),
  );
  terminal.line();
  terminal.line('Receipts of these calls in the ledger:');
  for (const receipt of receipts)
    terminal.line(`  ${receipt.id}  ${receipt.model.padEnd(10)} ${receipt.cost.amount} ${receipt.cost.currency}`);
  terminal.line();
  terminal.line(`Usage since ${statement.invoice.periodStart.slice(0, 10)}, by the ledger, and the invoice preview that contains it:`);
  for (const line of statement.invoice.lines.filter((line) => line.quantity !== '0')) {
    terminal.line(
      `  ${line.model.padEnd(10)} ${line.meter.padEnd(13)} ${line.quantity.padStart(8)}  → ${line.amount} ${statement.invoice.currency}`,
    );
  }
  terminal.line(
    `  payable so far: ${statement.invoice.payable.amount} ${statement.invoice.payable.currency} (exactly ${statement.invoice.total.amount})`,
  );
  terminal.line();
  terminal.line('Everything adds up: answers, receipts, ledger and invoice agree to the last digit.');
}

async function signInOrExplain(credentials: DemoCredentials): Promise<string> {
  try {
    return await signIn(credentials.WEIR_URL, credentials.WEIR_ADMIN_EMAIL, credentials.WEIR_ADMIN_PASSWORD);
  } catch (error) {
    const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
    if (code === 'ECONNREFUSED')
      throw new StartError(`Nothing answers at ${credentials.WEIR_URL}: start the platform first, with npm start in another terminal.`, {
        cause: error,
      });
    throw error;
  }
}
