import pg from "pg";
import { bind, bindItems, type Statement } from "../../core/src/statement.ts";

/** A node of what `explain (analyze, buffers, format json)` answers. */
interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Rows Removed by Index Recheck"?: number;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly Node[];
}

/** What a statement did when it was executed. */
export interface Measured {
  /** Tables that were read row by row from their beginning. */
  readonly scanned: string[];
  /** The most rows that one node read of a table or index. */
  readonly rows: number;
  /** The most rows that one sort was given. */
  readonly sorted: number;
  /** Pages of 8 kB that it touched, those of its functions and triggers among them. */
  readonly buffers: number;
  readonly ms: number;
}

/** How connections plan: as a direct one, with plans made for any values, or behind a pooler, for each call anew. */
export const MODES = {
  generic: "set plan_cache_mode = force_generic_plan; set enable_seqscan = off",
  custom: "set plan_cache_mode = auto; set enable_seqscan = on",
} as const;

/** Executes the statement with this input, in a transaction that is rolled back. */
export async function measure(
  client: pg.Client,
  statement: Statement<never, unknown>,
  input: object,
): Promise<Measured> {
  const { parameters, text } = statement;
  const values =
    "batch" in statement ? bindItems(parameters, [input]) : bind(parameters, input as object);
  const given = values.length === 0 ? "" : `(${values.map(literal).join(", ")})`;
  await client.query(`prepare measured as ${text}`);
  await client.query("begin");
  try {
    const explain = `explain (analyze, buffers, timing off, format json) execute measured ${given}`;
    const { rows } = await client.query(explain).catch((cause) => {
      throw new Error(statement.name, { cause });
    });
    const [{ Plan: plan, "Execution Time": ms }] = rows[0]["QUERY PLAN"];
    const nodes = flatten(plan);
    return {
      scanned: nodes.flatMap((node) =>
        node["Node Type"] === "Seq Scan" ? (node["Relation Name"] ?? []) : [],
      ),
      rows: Math.max(0, ...nodes.map(rowsRead)),
      sorted: Math.max(0, ...nodes.map(rowsSorted)),
      buffers: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
      ms,
    };
  } finally {
    await client.query("rollback");
    await client.query("deallocate measured");
  }
}

function flatten(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}

function rowsRead(node: Node): number {
  const reads = node["Relation Name"] !== undefined || node["Node Type"] === "Bitmap Index Scan";
  const away = (node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Index Recheck"] ?? 0);
  return reads && /Scan/.test(node["Node Type"])
    ? (node["Actual Rows"] + away) * node["Actual Loops"]
    : 0;
}

function rowsSorted({ "Node Type": type, Plans: [child] = [] }: Node): number {
  return type === "Sort" && child !== undefined ? child["Actual Rows"] * child["Actual Loops"] : 0;
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (!Array.isArray(value)) return pg.escapeLiteral(String(value));
  const items = value.map((item) =>
    item === null || item === undefined ? "null" : JSON.stringify(String(item)),
  );
  return pg.escapeLiteral(`{${items.join(",")}}`);
}
