/** The names that a pattern of the configuration means: `*` stands for any characters. */
export function namePattern(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[\\^$.+?()[\]{}|]/g, String.raw`\$&`);
  return new RegExp(`^${escaped.replaceAll('*', '.*')}$`, 's');
}
