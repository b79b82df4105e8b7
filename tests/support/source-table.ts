import type { ColumnShape, TableShape } from '../../schemas/envelope.ts';
import type { Row, TestChange } from './changes.ts';

type Kind = 'int16' | 'int32' | 'int64' | 'string';

/** One statement on a table of a source, as a property test makes it up. */
export type TableStep =
  | { readonly kind: 'upsert'; readonly id: number; readonly value: number }
  | { readonly kind: 'delete'; readonly id: number }
  | {
      readonly kind: 'add';
      readonly name: string;
      readonly type: Exclude<Kind, 'int64'>;
      readonly filled: boolean;
    }
  | { readonly kind: 'drop' | 'widen'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string };

type Cell = string | number | bigint | null;

interface StoredRow {
  readonly cells: Map<string, Cell>;
  readonly version: number;
}

interface Column {
  readonly name: string;
  kind: Kind;
  fill: Cell;
}

/** From narrow to wide: what a column has once been it can only grow from. */
const WIDTHS: readonly Kind[] = ['int16', 'int32', 'int64', 'string'];

const WIDER: Readonly<Partial<Record<Kind, Kind>>> = {
  int16: 'int32',
  int32: 'int64',
  int64: 'string',
};

/**
 * What a database does to a table, in plain maps: the definition that streamed schema changes are measured
 * by. Postgres fills a column added with a default, and forgets the values of a dropped one. A new name
 * keeps its values only in rows that change afterwards: no event brings those of the others.
 */
export class SourceTable {
  readonly #topic: string;
  #columns: Column[] = [{ name: 'a', kind: 'string', fill: null }];
  readonly #rows = new Map<number, StoredRow>();
  /** The widest type that each name has had: another one would park the table. */
  readonly #widest = new Map<string, Kind>([['a', 'string']]);

  constructor(topic: string) {
    this.#topic = topic;
  }

  get shape(): TableShape {
    const columns = this.#columns.map(({ name, kind, fill }): ColumnShape => ({
      name,
      type: { kind },
      optional: true,
      ...(fill === null ? {} : { default: typeof fill === 'bigint' ? Number(fill) : fill }),
    }));
    const id = { name: 'id', type: { kind: 'int32' as const }, optional: false };
    return { topic: this.#topic, key: ['id'], columns: [id, ...columns] };
  }

  /** The change of a row that a step is; null for none. */
  apply(step: TableStep, version: number): TestChange | null {
    switch (step.kind) {
      case 'upsert':
        return this.upsert(step.id, { value: step.value, version });
      case 'delete': {
        const row = this.#rows.get(step.id);
        if (row === undefined) return null;
        this.#rows.delete(step.id);
        return { op: 'd', version, before: this.#image(step.id, row) };
      }
      case 'add':
        this.#add(step.name, step.type, step.filled);
        return null;
      case 'drop':
        this.#columns = this.#columns.filter(({ name }) => name !== step.name);
        for (const { cells } of this.#rows.values()) cells.delete(step.name);
        return null;
      case 'widen':
        this.#widen(step.name);
        return null;
      case 'rename':
        this.#rename(step.name, step.to);
        return null;
    }
  }

  upsert(id: number, { value, version }: { value: number; version: number }): TestChange {
    const isNew = !this.#rows.has(id);
    const cells = new Map(
      this.#columns.map(({ name, kind }): [string, Cell] => [name, cellOf(kind, value)]),
    );
    const row = { cells, version };
    this.#rows.set(id, row);
    return { op: isNew ? 'c' : 'u', version, after: this.#image(id, row) };
  }

  /** The rows as a snapshot by the present schema reads them. */
  rows(): TestChange[] {
    return [...this.#rows].map(([id, row]) => ({
      op: 'r',
      version: row.version,
      after: this.#image(id, row),
    }));
  }

  #image(id: number, { cells }: StoredRow): Row {
    const image = this.#columns.map(({ name }) => [name, cells.get(name) ?? null]);
    return { id, ...(Object.fromEntries(image) as Row) };
  }

  #add(name: string, wanted: Kind, filled: boolean): void {
    if (this.#columns.some((column) => column.name === name)) return;
    const kind = this.#fitting(name, wanted);
    const fill = filled ? cellOf(kind, 7) : null;
    this.#columns.push({ name, kind, fill });
    for (const { cells } of this.#rows.values()) cells.set(name, fill);
  }

  #widen(name: string): void {
    const column = this.#columns.find((candidate) => candidate.name === name);
    const kind = column && WIDER[column.kind];
    if (column === undefined || kind === undefined) return;
    column.kind = this.#fitting(name, kind);
    column.fill = asKind(kind, column.fill);
    for (const { cells } of this.#rows.values()) {
      cells.set(name, asKind(kind, cells.get(name) ?? null));
    }
  }

  /** The type, or the widest that a column of that name has had. */
  #fitting(name: string, kind: Kind): Kind {
    const known = this.#widest.get(name) ?? kind;
    const wider = WIDTHS[Math.max(WIDTHS.indexOf(known), WIDTHS.indexOf(kind))] ?? kind;
    this.#widest.set(name, wider);
    return wider;
  }

  #rename(name: string, to: string): void {
    const at = this.#columns.findIndex((column) => column.name === name);
    const column = this.#columns[at];
    if (column === undefined || this.#columns.some((other) => other.name === to)) return;
    if (this.#fitting(to, column.kind) !== column.kind) return;
    this.#columns[at] = { ...column, name: to, fill: null };
    for (const { cells } of this.#rows.values()) {
      cells.delete(name);
      cells.set(to, null);
    }
  }
}

function cellOf(kind: Kind, value: number): Cell {
  return kind === 'string' ? `t${value}` : kind === 'int64' ? BigInt(value) : value;
}

function asKind(kind: Kind, cell: Cell): Cell {
  if (cell === null) return null;
  return kind === 'string' ? String(cell) : kind === 'int64' ? BigInt(cell) : cell;
}
