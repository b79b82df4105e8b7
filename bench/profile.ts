import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LINES = 40;

/** What Node's `--cpu-prof` writes, as far as we read it. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Arguments that make Node write a profile of its main thread when it ends. */
export function profileArguments(folder: string | null): string[] {
  return folder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}

/** A table for each profile of the folder: seconds of the functions that took most by themselves. */
export function hottest(folder: string): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  return names.map((name) => {
    const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Profile;
    const own = [...ownSeconds(profile)].sort(([, a], [, b]) => b - a).slice(0, LINES);
    const lines = own.map(([place, seconds]) => `${seconds.toFixed(2).padStart(8)}  ${place}`);
    return [`\n${name}, seconds of the main thread`, ...lines].join('\n');
  });
}

function ownSeconds({ nodes, samples, timeDeltas }: Profile): Map<string, number> {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const seconds = new Map<string, number>();
  samples.forEach((id, index) => {
    const place = places.get(id) ?? '';
    seconds.set(place, (seconds.get(place) ?? 0) + (timeDeltas[index] ?? 0) / 1e6);
  });
  return seconds;
}

function placeOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const file = url.startsWith('file:') ? fileURLToPath(url).split('/').slice(-2).join('/') : url;
  return `${functionName || '(anonymous)'} ${file}${file === '' ? '' : `:${lineNumber + 1}`}`;
}
