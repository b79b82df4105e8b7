import { Command } from 'commander';
import { firstOf } from '../errors.ts';
import { isAbort } from '../runtime/retry.ts';
import { demoCommand } from './demo.ts';
import { initCommand } from './init.ts';
import { planCommand } from './plan.ts';
import { queryCommand } from './query.ts';
import { reportError } from './report-error.ts';
import { runCommand } from './run.ts';
import { snapshotCommand } from './snapshot.ts';
import { statusCommand } from './status.ts';
import { tablesCommand } from './tables.ts';
import type { CliContext } from './terminal.ts';
import { validateCommand } from './validate.ts';
import { verifyCommand } from './verify.ts';
import { version } from '../version.ts';

/** The verbs in the order in which a newcomer needs them. */
const verbs = [
  demoCommand,
  initCommand,
  validateCommand,
  planCommand,
  runCommand,
  statusCommand,
  tablesCommand,
  queryCommand,
  snapshotCommand,
  verifyCommand,
] as const;

/**
 * Runs one command line (without `node` and the script) and resolves with the exit code: 0 done,
 * 1 runtime, 2 configuration or usage, 3 environment. Never rejects.
 */
export async function runCli(arguments_: readonly string[], context: CliContext): Promise<number> {
  const { terminal } = context;
  const program = new Command('millrace')
    .description('Change data capture: every change of a database, in order, exactly once.')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false);
  for (const make of verbs) program.addCommand(make(context));
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: () => {}, // What commander would say here comes from `reportError`.
      getOutHelpWidth: () => terminal.columns,
    });
  }
  try {
    if (arguments_.length === 0) program.help();
    await program.parseAsync(arguments_, { from: 'user' });
    return 0;
  } catch (caught) {
    const error = firstOf(caught);
    if (context.signal.aborted && isAbort(error)) {
      terminal.err('interrupted\n');
      return 1;
    }
    return reportError(error, terminal, arguments_.includes('--json'));
  }
}
