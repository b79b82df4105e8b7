import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** From package.json: beside the sources, or above them when they are compiled. */
export const version: string = readVersion();

function readVersion(): string {
  const [found] = ['.', '..']
    .map((up) => join(import.meta.dirname, up, 'package.json'))
    .filter((path) => existsSync(path));
  const parsed: unknown = found === undefined ? {} : JSON.parse(readFileSync(found, 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed
    ? String(parsed.version)
    : 'unknown';
}
