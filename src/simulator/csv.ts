/** A line of a table, by its columns. */
export interface CsvRow<Column extends string> {
  text(column: Column): string;
  /** @throws Error that names file and line, if there is no number */
  number(column: Column): number;
}

/**
 * CSV without quotes, with a header that names at least these columns. `file` is what errors call it.
 *
 * @throws Error that says which column is missing, or that there is nothing in it
 */
export function parseCsv<Column extends string>(
  file: string,
  text: string,
  columns: readonly Column[],
): CsvRow<Column>[] {
  const [header = "", ...lines] = text.split(/\r?\n/);
  const names = header.split(",");
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) throw new Error(`${file}: the first line does not name the column ${missing.join(", ")}`);
  const rows = lines.flatMap((line, at) => {
    if (line.trim() === "") return [];
    const cells = line.split(",");
    const textOf = (column: Column) => cells[names.indexOf(column)]?.trim() ?? "";
    const number = (column: Column) => {
      const cell = textOf(column);
      if (!/^\d+(\.\d+)?$/.test(cell)) throw new Error(`${file}, line ${at + 2}: ${column} is "${cell}", not a number`);
      return Number(cell);
    };
    return [{ text: textOf, number }];
  });
  if (rows.length === 0) throw new Error(`${file}: there is nothing in it`);
  return rows;
}
