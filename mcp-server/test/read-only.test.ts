import { type AnyOperation, operations } from "@tidebase/core";
import { expect, test } from "vitest";
import type { Database } from "../../core/src/database.ts";
import { statement } from "../../core/src/statement.ts";
import { useDatabase } from "../../core/test/support/database.ts";
import { openConnection } from "../src/connection.ts";
import { TOOLSETS } from "../src/tool.ts";
import { toolsFor } from "../src/tools/index.ts";
import { failedRun, useAgent } from "./support.ts";

const db = useDatabase();
const env = () => ({ TIDEBASE_DATABASE_URL: db.url });
const observer = useAgent(env, { readOnly: true, toolsets: TOOLSETS });

/** The connection that a read-only server's tools use. */
async function withConnection<T>(
  work: (backend: Awaited<ReturnType<typeof openConnection>>["backend"]) => Promise<T>,
): Promise<T> {
  const options = { env: env(), cwd: "/", readOnly: true, allowWrites: true };
  const { backend, close } = await openConnection(options);
  return await work(backend).finally(close);
}

/** The operation, passed off as one that reads: what checks effects lets it through to the database. */
function smuggled(
  name: string,
  run?: (context: { db: Database }) => Promise<unknown>,
): AnyOperation {
  const operation = operations.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new Error(`There is no operation ${name}.`);
  const other = run === undefined ? {} : { run };
  return { ...operation, effect: "read", ...other } as unknown as AnyOperation;
}

/** The code of Postgres behind a failure. */
function sqlStateOf(error: unknown): unknown {
  return error instanceof Error ? (Reflect.get(error, "code") ?? sqlStateOf(error.cause)) : error;
}

const insert = statement<object, { n: number }>("test.smuggled")`
  insert into tidebase.labels (run_id, stream, version, label)
    select run_id, 'state', 1, 'smuggled' from tidebase.runs returning 1 as n`;

test("Postgres refuses what is written over a read-only server's own connection", async () => {
  const { runId } = await failedRun(db);
  const before = await db.call("runs.get", { runId });
  await withConnection(async (backend) => {
    const writing = smuggled("runs.get", ({ db: pool }: { db: Database }) => pool.many(insert, {}));
    const cancelling = smuggled("runs.cancel");
    const recovering = smuggled("runs.recover");
    for (const [operation, input] of [
      [writing, { runId }],
      [cancelling, { runId, dryRun: false }],
      [recovering, { runId, dryRun: false, asOf: 8 }],
    ] as const) {
      const error = await backend.execute(operation, input).then(() => "written", causeOf);
      expect(sqlStateOf(error), operation.name).toBe("25006");
    }
  });
  expect(await db.call("runs.get", { runId })).toEqual(before);
});

/** What the database said, below what the call answered. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

test("no operation that writes gets as far as the database", async () => {
  const writes = operations.filter(({ effect }) => effect !== "read");
  expect(writes.length).toBeGreaterThan(20);
  await withConnection(async (backend) => {
    for (const operation of writes)
      await expect(backend.execute(operation, {}), operation.name).rejects.toMatchObject({
        code: "store_read_only",
      });
  });
});

test("tools that write are hidden, and a call of one is refused with the reason", async () => {
  const [all, hidden] = [true, false].map((readOnly) =>
    toolsFor({ readOnly: !readOnly, toolsets: TOOLSETS }),
  );
  const { tools } = await observer.client.listTools();
  const names = tools.map(({ name }) => name);
  const writing = (all ?? []).filter(({ annotations }) => !annotations.readOnlyHint);
  expect(names).toEqual((hidden ?? []).map(({ name }) => name));
  expect(writing).toHaveLength(8);
  for (const { name } of writing) {
    expect(names).not.toContain(name);
    expect(await observer.refused(name, {}), name).toMatchObject({
      code: "store_read_only",
      message: expect.stringContaining("read-only"),
      fix: expect.stringContaining("--read-only"),
      retryable: false,
    });
  }
});
