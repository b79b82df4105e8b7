import type { Command } from 'commander';
import { loadConfig } from './load-config.ts';
import { planOf } from './pipeline-plan.ts';
import { planLines } from './plan-lines.ts';
import type { CliContext } from './terminal.ts';
import { answer, type CommonOptions, verb } from './verb.ts';

export function planCommand(context: CliContext): Command {
  return verb('plan', 'Show what `run` would do: stages, tables, topics; changes nothing').action(
    async (options: CommonOptions) => {
      const config = await loadConfig(options.config, context);
      const plan = await planOf(config, context);
      answer(context, options, { data: plan, lines: () => planLines(plan, config, context) });
    },
  );
}
