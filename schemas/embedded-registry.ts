import { createHash } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { MillraceError } from '../errors.ts';
import type { AvroSchema } from './avro.ts';
import { unreadable } from './compatibility.ts';
import type { SchemaRegistry } from './registry.ts';

/** `BACKWARD`: readers with the new schema can read what was written with the last one. */
export type Compatibility = 'BACKWARD' | 'NONE';

export interface SubjectVersion {
  /** From 1, without gaps. */
  readonly version: number;
  readonly id: number;
}

/** A registry in a SQLite file. `register` resolves when the schema is as durable as the file is. */
export interface EmbeddedRegistry extends SchemaRegistry {
  /** The versions of a subject, oldest first; empty if nobody registered one. */
  versions(subject: string): Promise<readonly SubjectVersion[]>;
  /** Sets the rule for what is registered under a subject from now on. */
  setCompatibility(subject: string, compatibility: Compatibility): Promise<void>;
}

const TABLES = `
  CREATE TABLE IF NOT EXISTS schemas (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, schema TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS subjects (
    subject TEXT NOT NULL, version INTEGER NOT NULL, schema INTEGER NOT NULL REFERENCES schemas (id),
    PRIMARY KEY (subject, version), UNIQUE (subject, schema)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS compatibility (subject TEXT PRIMARY KEY, rule TEXT NOT NULL) STRICT;
`;

/**
 * The registry over an open database, which stays the caller's to close. `compatibility` is the rule for
 * subjects that have none of their own.
 */
export function embeddedRegistry(
  database: DatabaseSync,
  compatibility: Compatibility = 'BACKWARD',
): EmbeddedRegistry {
  database.exec(TABLES);
  const statements = prepare(database);
  const known = new Map<number, AvroSchema>();

  function register(subject: string, schema: AvroSchema): number {
    const text = canonical(schema);
    const digest = createHash('sha256').update(text).digest();
    const bySubject = statements.inSubject.get(subject, digest)?.['id'];
    if (bySubject !== undefined) return Number(bySubject);
    requireReadable(subject, schema);
    const last = Number(statements.last.get(subject)?.['version'] ?? 0);
    database.exec('BEGIN');
    try {
      statements.addSchema.run(digest, text);
      const id = Number(statements.byDigest.get(digest)?.['id']);
      statements.addVersion.run(subject, last + 1, id);
      database.exec('COMMIT');
      return id;
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
  }

  function requireReadable(subject: string, schema: AvroSchema): void {
    const last = statements.last.get(subject);
    const free = (statements.rule.get(subject)?.['rule'] ?? compatibility) === 'NONE';
    // Compared with itself where there is no other: it must be Avro in any case.
    const written =
      last === undefined || free ? schema : (JSON.parse(String(last['schema'])) as AvroSchema);
    const problem = unreadable(schema, written);
    if (problem === null) return;
    throw new MillraceError('SCHEMA_INCOMPATIBLE', `${problem.place}: ${problem.reason}.`, {
      place: `subject ${subject}, version ${String(last?.['version'] ?? 1)}`,
      expected: 'a schema that can read what was written with the last one',
    });
  }

  return {
    register: async (subject, schema) => register(subject, schema),
    async byId(id) {
      let schema = known.get(id);
      if (schema === undefined) {
        const text = statements.byId.get(id)?.['schema'];
        if (text === undefined) {
          throw new MillraceError('SCHEMA_UNKNOWN', `There is no schema with id ${id}.`);
        }
        schema = JSON.parse(String(text)) as AvroSchema;
        known.set(id, schema);
      }
      return schema;
    },
    versions: async (subject) =>
      statements.versions.all(subject).map((row) => ({
        version: Number(row['version']),
        id: Number(row['schema']),
      })),
    setCompatibility: async (subject, compatibility) => {
      statements.setRule.run(subject, compatibility);
    },
    [Symbol.asyncDispose]: async () => known.clear(),
  };
}

function prepare(database: DatabaseSync) {
  return {
    inSubject: database.prepare(`
      SELECT s.id FROM subjects v JOIN schemas s ON s.id = v.schema
      WHERE v.subject = ? AND s.digest = ?`),
    last: database.prepare(`
      SELECT v.version, s.schema FROM subjects v JOIN schemas s ON s.id = v.schema
      WHERE v.subject = ? ORDER BY v.version DESC LIMIT 1`),
    versions: database.prepare(
      'SELECT version, schema FROM subjects WHERE subject = ? ORDER BY version',
    ),
    addSchema: database.prepare(
      'INSERT INTO schemas (digest, schema) VALUES (?, ?) ON CONFLICT DO NOTHING',
    ),
    byDigest: database.prepare('SELECT id FROM schemas WHERE digest = ?'),
    byId: database.prepare('SELECT schema FROM schemas WHERE id = ?'),
    addVersion: database.prepare(
      'INSERT INTO subjects (subject, version, schema) VALUES (?, ?, ?)',
    ),
    rule: database.prepare('SELECT rule FROM compatibility WHERE subject = ?'),
    setRule: database.prepare(`
      INSERT INTO compatibility (subject, rule) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET rule = excluded.rule`),
  };
}

/** One text for equal schemas: members in alphabetical order, all attributes kept. */
function canonical(schema: AvroSchema): string {
  return JSON.stringify(schema, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
