/** An identifier in standard SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text literal in standard SQL. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
