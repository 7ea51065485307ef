/** The rows of the bad-input matrix, and what each is about. */
const ROWS = {
  B1: "malformed JSON, and JSON that is no object",
  B2: "other content types",
  B3: "bodies too large, of unknown or wrong length, compressed",
  B4: "depth, many members, many elements",
  B5: "NUL in names, keys and paths",
  B6: "NUL and lone surrogates in payloads come back as they were",
  B7: "numbers that a double cannot hold",
  B8: "names of object members",
  B9: "bytes that are no UTF-8",
  B10: "names",
  B11: "statements in texts",
  B12: "line ends in headers and event streams",
  B13: "numbers out of range",
  B14: "instants and delays",
  B15: "cron expressions",
  B16: "ids of nothing, on every route",
  B17: "methods and paths",
  B18: "members named twice",
  B19: "slow, silent and idle clients",
  B20: "positions in an event stream",
  B21: "texts that are slow to match",
  B22: "addresses of webhooks",
  B23: "MCP: messages and arguments",
  B24: "MCP: origin and host",
} as const;
/** One of the rows. */
export type Row = keyof typeof ROWS;

const NAMES = Object.keys(ROWS) as Row[];

/** What was tried of each row, and what went wrong. */
export interface Ledger {
  /** Counts a case of the row; a sentence is a problem. */
  tried(row: Row, wrong?: string | undefined): void;
  /** Why a part of the row does not apply here. */
  note(row: Row, why: string): void;
  /** Of all rows. */
  count(): number;
  /** The rows of which nothing was tried. */
  untried(): Row[];
  readonly problems: readonly string[];
  /** A line for each row: green, red or not tried, how many cases, and the notes. */
  facts(): Record<string, string>;
}

const SHOWN_MAX = 5;

/** With nothing tried yet. */
export function openLedger(): Ledger {
  const counts = new Map<Row, { tried: number; wrong: number; notes: string[] }>();
  const problems: string[] = [];
  const of = (row: Row) => {
    const known = counts.get(row) ?? { tried: 0, wrong: 0, notes: [] };
    counts.set(row, known);
    return known;
  };
  return {
    problems,
    tried(row, wrong) {
      const known = of(row);
      known.tried += 1;
      if (wrong === undefined) return;
      known.wrong += 1;
      if (known.wrong <= SHOWN_MAX) problems.push(`${row}: ${wrong}`);
    },
    note(row, why) {
      of(row).notes.push(why);
    },
    untried: () => NAMES.filter((row) => of(row).tried === 0),
    count: () => [...counts.values()].reduce((sum, { tried }) => sum + tried, 0),
    facts: () =>
      Object.fromEntries(
        NAMES.map((row) => {
          const { tried, wrong, notes } = of(row);
          const colour = tried === 0 ? "not tried" : wrong === 0 ? "green" : `RED (${wrong})`;
          const said = [`${colour}, ${tried} tried: ${ROWS[row]}`, ...notes];
          return [row, said.join("; ")];
        }),
      ),
  };
}
