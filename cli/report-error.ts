import { CommanderError } from 'commander';
import { exitCode, MillraceError } from '../errors.ts';
import type { Terminal } from './terminal.ts';

/** Shows an error, as text on standard error or as JSON on standard output, and says the exit code. */
export function reportError(error: unknown, terminal: Terminal, json: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0; // --help and --version.
    const usage = new MillraceError('USAGE', error.message.replace(/^error: /, ''));
    return reportError(usage, terminal, json);
  }
  if (json) terminal.out(`${JSON.stringify({ error: plainError(error) })}\n`);
  else terminal.err(`${textOf(error)}\n`);
  return exitCode(error);
}

/** An error as data. Never with a stack: that is for the log. */
export function plainError(error: unknown): Record<string, unknown> {
  if (!(error instanceof MillraceError)) {
    return { code: 'UNEXPECTED', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, place, expected, remedy, cause } = error;
  return {
    code,
    message,
    ...(place === undefined ? {} : { place }),
    ...(expected === undefined ? {} : { expected }),
    remedy,
    ...(code === 'CONFIG_INVALID' && Array.isArray(cause) ? { mistakes: cause } : {}),
    ...(code === 'SOURCE_NOT_READY' && Array.isArray(cause)
      ? { problems: cause.map(plainError) }
      : {}),
  };
}

function textOf(error: unknown): string {
  if (!(error instanceof MillraceError)) {
    const shown = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `error UNEXPECTED: this is a fault of Millrace; please report it\n\n${shown}`;
  }
  const { code, message, place, expected, remedy } = error;
  const several = message.includes('\n');
  return [
    several ? `error ${code}\n\n${message}\n` : `error ${code}: ${message}`,
    ...(place === undefined || several ? [] : [`  at        ${place}`]),
    ...(expected === undefined ? [] : [`  expected  ${indent(expected)}`]),
    `  to do     ${indent(remedy)}`,
  ].join('\n');
}

function indent(text: string): string {
  return text.replaceAll('\n', `\n${' '.repeat(12)}`);
}
