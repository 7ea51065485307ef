import { cancelRun } from "@tidebase/core";
import { describe, expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { freePort } from "../../test/support/free-port.ts";
import { connectLazily, openConnection } from "../src/connection.ts";
import { toToolError } from "../src/tool-error.ts";
import { useAgent } from "./support.ts";

const db = useDatabase();

describe("a database that cannot be reached", () => {
  const env: Record<string, string> = {};
  const agent = useAgent(() => env);

  test("is named with what to do, without its password, and tried again at the next call", async () => {
    const port = await freePort();
    env["TIDEBASE_DATABASE_URL"] = `postgres://me:hunter2@127.0.0.1:${port}/runs`;
    const error = await agent.refused("tidebase_overview");
    expect(error).toMatchObject({ code: "database_unreachable", retryable: true });
    expect(error.message).toContain(`127.0.0.1:${port}/runs (TIDEBASE_DATABASE_URL)`);
    expect(error.fix).toContain("Start it");
    expect(JSON.stringify(error)).not.toMatch(/hunter2|me:/);
    env["TIDEBASE_DATABASE_URL"] = db.url;
    expect((await agent.call("tidebase_overview")).access).toBe("read_write");
  });
});

describe("a server that cannot be reached", () => {
  const env: Record<string, string> = {};
  const agent = useAgent(() => env);

  test("is named with what to do", async () => {
    env["TIDEBASE_URL"] = `http://127.0.0.1:${await freePort()}`;
    const error = await agent.refused("tidebase_overview");
    expect(error).toMatchObject({ code: "store_unavailable", retryable: true });
    expect(error.fix).toContain(env["TIDEBASE_URL"]);
  });
});

test.each([
  // biome-ignore lint/suspicious/noTemplateCurlyInString: what a client that fills nothing in passes on
  [{ TIDEBASE_DATABASE_URL: "${DATABASE}" }, "variable_unexpanded", "TIDEBASE_DATABASE_URL"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the same
  [{ TIDEBASE_RUN_ID: "${RUN}" }, "variable_unexpanded", "TIDEBASE_RUN_ID"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the same
  [{ TIDEBASE_PORT: "73${PORT}" }, "variable_unexpanded", "TIDEBASE_PORT"],
  [{ TIDEBASE_URL: " " }, "variable_empty", "TIDEBASE_URL"],
  [{ TIDEBASE_DATABASE_URL: "mysql://x:secret@y/z" }, "variable_invalid", "TIDEBASE_DATABASE_URL"],
])("%j is %s, and the variable is named", async (env, code, name) => {
  const opening = openConnection({ env, cwd: "/", readOnly: false, allowWrites: false });
  const error = toToolError(await opening.catch((thrown: unknown) => thrown));
  expect(error).toMatchObject({ code, message: expect.stringContaining(name) });
  expect(JSON.stringify(error)).not.toContain("secret");
});

test("a database that refuses the user is told in our words, not in the driver's", async () => {
  const url = Object.assign(new URL(db.url), { username: "nobody_here", password: "wrong" }).href;
  const env = { TIDEBASE_DATABASE_URL: url };
  const opening = openConnection({ env, cwd: "/", readOnly: false, allowWrites: false });
  const error = toToolError(await opening.catch((thrown: unknown) => thrown));
  expect(error).toMatchObject({
    code: "database_refused",
    fix: expect.stringContaining("password"),
  });
  expect(JSON.stringify(error)).not.toMatch(/nobody_here|wrong/);
});

test("concurrent first calls share one opening; a failed one is forgotten", async () => {
  let openings = 0;
  const connection = connectLazily(async () => {
    openings += 1;
    if (openings === 1) throw new Error("not yet");
    return await openConnection({
      env: { TIDEBASE_DATABASE_URL: db.url },
      cwd: "/",
      readOnly: true,
      allowWrites: false,
    });
  });
  const failures = await Promise.allSettled([connection.get(), connection.get()]);
  expect(failures.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(openings).toBe(1);
  const [one, two] = await Promise.all([connection.get(), connection.get()]);
  expect(one).toBe(two);
  expect(openings).toBe(2);
  await connection.close();
});

test("TIDEBASE_READ_ONLY wins over --allow-writes, and is named as the reason", async () => {
  const env = { TIDEBASE_DATABASE_URL: db.url, TIDEBASE_READ_ONLY: "1" };
  const opened = await openConnection({ env, cwd: "/", readOnly: true, allowWrites: true });
  expect(opened.store).toMatchObject({
    access: "read_only",
    accessReason: "TIDEBASE_READ_ONLY is set.",
  });
  const { runId } = await db.begun();
  const cancelling = opened.backend.execute(cancelRun, { runId });
  await expect(cancelling).rejects.toMatchObject({ code: "store_read_only" });
  await opened.close();
});

describe("a database on another machine", () => {
  /** The same server by a name that is not the loopback's. */
  const away = (): Record<string, string> => ({ TIDEBASE_DATABASE_URL: elsewhere(db.url) });
  const agent = useAgent(away);
  const writer = useAgent(away, { allowWrites: true });

  test("is read-only, says why, and refuses to write with the way out", async () => {
    const { runId } = await db.begun();
    const overview = await agent.call("tidebase_overview");
    expect(overview).toMatchObject({
      access: "read_only",
      accessReason: expect.stringContaining("--allow-writes"),
    });
    const error = await agent.refused("tidebase_recover_run", { runId });
    expect(error).toMatchObject({
      code: "store_read_only",
      fix: expect.stringContaining("--allow-writes"),
    });
  });

  test("is written with --allow-writes", async () => {
    expect((await writer.call("tidebase_overview")).access).toBe("read_write");
  });
});

/** Any address of 0.0.0.0 reaches this machine, and does not look like it. */
function elsewhere(url: string): string {
  return Object.assign(new URL(url), { hostname: "0.0.0.0" }).href;
}
