/** What lets the server say which row an update or a delete of a table without a key meant. */
export function identityStatement(table: string): string {
  const dot = table.indexOf('.');
  const parts = [table.slice(0, dot), table.slice(dot + 1)];
  const name = parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
  return `ALTER TABLE ${name} REPLICA IDENTITY FULL;`;
}
