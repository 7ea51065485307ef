import { expect, test } from "vitest";
import { LOCAL, openCore, operations, SCOPES } from "../src/index.ts";
import { operationNamed, useDatabase } from "./support/database.ts";

const db = useDatabase();
/** A process of its own: what it believes of keys is not older than it is. */
const fresh = () => openCore({ databaseUrl: db.url, sweeps: false });

test("a store without keys knows one principal, and refuses a key that it never gave", async () => {
  const core = fresh();
  expect(await core.authenticate(undefined)).toEqual(LOCAL);
  expect(LOCAL.scopes, "agents come without a key too").toEqual(
    SCOPES.filter((scope) => scope !== "approve" && scope !== "admin"),
  );
  await expect(core.authenticate("tb_nothing")).rejects.toMatchObject({ code: "key_invalid" });
  await core.close();
});

test("a key opens what its scopes say until it is revoked; a store with keys asks for one", async () => {
  const made = await db.call("keys.create", { name: "worker", scopes: ["work", "read", "work"] });
  const core = fresh();
  const actor = await core.authenticate(String(made["key"]));
  expect(actor).toEqual({ name: "worker", scopes: ["read", "work"], via: made["keyId"] });
  await expect(core.authenticate(undefined)).rejects.toMatchObject({ code: "key_missing" });
  await db.call("keys.revoke", { keyId: made["keyId"] });
  const later = fresh();
  await expect(later.authenticate(String(made["key"]))).rejects.toMatchObject({
    code: "key_invalid",
  });
  expect(await later.hasKeys()).toBe(true);
  await Promise.all([core.close(), later.close()]);
});

test("an expired key is refused, and the list shows its last use but no key", async () => {
  const made = await db.call("keys.create", {
    name: "short",
    scopes: ["read"],
    expiresInMs: 60_000,
  });
  const core = fresh();
  await core.authenticate(String(made["key"]));
  const { keys } = await db.call("keys.list", {});
  const listed = (keys as { keyId: string; lastUsedAt: string | null }[]).find(
    (key) => key.keyId === made["keyId"],
  );
  expect(listed?.lastUsedAt).not.toBeNull();
  expect(JSON.stringify(keys)).not.toContain(String(made["key"]));
  await db.advance("2 minutes");
  const later = fresh();
  await expect(later.authenticate(String(made["key"]))).rejects.toMatchObject({
    code: "key_invalid",
  });
  await Promise.all([core.close(), later.close()]);
});

test("the key itself is nowhere in the database", async () => {
  const made = await db.call("keys.create", { name: "hidden", scopes: ["admin"] });
  const { rows } = await db.pool.query("select t::text as text from tidebase.api_keys t");
  for (const { text } of rows) expect(text).not.toContain(String(made["key"]).slice(3));
});

test.each(operations.map(({ name }) => name))(
  "%s is refused without its scope, before its input is looked at",
  async (name) => {
    const operation = operationNamed(name);
    const scopes = SCOPES.filter((scope) => scope !== operation.scope);
    const refused = db.core.execute(
      operation,
      { nonsense: true },
      { name: "x", scopes, via: "test" },
    );
    await expect(refused).rejects.toMatchObject({
      code: "scope_missing",
      data: { scope: operation.scope },
    });
  },
);

test("refused and privileged acts are in the audit trail, newest first", async () => {
  const { runId } = await db.call("runs.create", { workflow: "w" });
  await db.call("runs.recover", { runId, dryRun: false });
  const reader = { name: "reader", scopes: ["read" as const], via: "key_x" };
  const refused = db.core.execute(operationNamed("runs.recover"), { runId }, reader);
  await expect(refused).rejects.toMatchObject({ code: "scope_missing" });
  const { entries } = await db.call("audit.list", { limit: 3 });
  expect(entries).toMatchObject([
    {
      actor: "reader",
      via: "key_x",
      operation: "runs.recover",
      target: runId,
      outcome: "scope_missing",
    },
    { actor: "local", operation: "runs.recover", target: runId, outcome: "done" },
    { actor: "local", operation: "runs.recover", target: runId, outcome: "attempted" },
  ]);
});

test("a connection that only reads refuses every write and answers every read", async () => {
  const core = openCore({ databaseUrl: db.url, readOnly: true });
  const lease = await db.begun();
  const local = await db.core
    .authenticate(undefined)
    .catch(() => ({ name: "local", scopes: SCOPES, via: "test" }));
  const write = core.execute(operationNamed("runs.create"), { workflow: "w" }, local);
  await expect(write).rejects.toMatchObject({ code: "store_read_only" });
  expect(
    await core.execute(operationNamed("runs.get"), { runId: lease.runId }, local),
  ).toMatchObject({
    verdict: { answer: "in_progress" },
  });
  await core.close();
});
