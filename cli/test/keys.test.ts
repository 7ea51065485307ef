import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, { TIDEBASE_DATABASE_URL: db.url });
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  return JSON.parse((await tidebase(...args, "--json")).stdout);
}

test("keys are made once, listed without themselves, and revoked", async () => {
  const made = await tidebase(
    "keys",
    "create",
    "ci",
    "--scopes",
    "read,enqueue",
    "--expires",
    "90d",
  );
  expect(made.stdout).toMatch(/^tb_[\w-]{43}\n$/);
  const keyId = /key_[0-9a-f-]{36}/.exec(made.stderr)?.[0] ?? "";
  const actor = await db.core.authenticate(made.stdout.trim());
  expect(actor).toMatchObject({ name: "ci", scopes: ["read", "enqueue"] });
  const listed = await tidebase("keys", "list");
  expect(listed.stdout).toContain(keyId);
  expect(listed.stdout).not.toContain(made.stdout.trim());
  const { keys } = await json("keys", "list");
  const [key] = keys as { createdAt: string; expiresAt: string }[];
  expect(Date.parse(key?.expiresAt ?? "") - Date.parse(key?.createdAt ?? "")).toBe(90 * 86_400_000);
  expect(await json("keys", "revoke", keyId)).toMatchObject({ keyId });
  expect((await tidebase("keys", "list")).stdout).toContain("revoked");
  type Act = { operation: string; outcome: string; via: string };
  const { entries } = await db.call("audit.list", {});
  const acts = (entries as Act[]).map(({ operation, outcome, via }) => [operation, outcome, via]);
  expect(acts).toEqual([
    ["keys.revoke", "done", "cli"],
    ["keys.revoke", "attempted", "cli"],
    ["keys.create", "done", "cli"],
    ["keys.create", "attempted", "cli"],
  ]);
});
