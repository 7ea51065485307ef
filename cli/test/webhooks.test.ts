import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { type Ended, runInside, useFolder } from "./support/program.ts";

const db = useDatabase();
const folder = useFolder();
const HOOK = "http://127.0.0.1:9/hook";
const env = { TIDEBASE_DATABASE_URL: db.url, TIDEBASE_WEBHOOK_ALLOW: "127.0.0.1:9, 10.0.0.0/8" };

function tidebase(...args: string[]): Promise<Ended> {
  return runInside(folder, args, env);
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await tidebase(...args, "--json");
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

async function made(name: string, ...flags: string[]): Promise<string> {
  return String((await json("webhooks", "create", name, "--to", HOOK, ...flags))["webhookId"]);
}

test("a webhook's secret is printed once, alone on standard output", async () => {
  const create = ["webhooks", "create", "ops", "--to", HOOK, "--events", "run.failed,gate.*"];
  const { code, stdout, stderr } = await tidebase(...create);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^whsec_[\w+/=]+\n$/);
  expect(stderr).toMatch(/webhook_[0-9a-f-]{36} is made/);
  const listed = await tidebase("webhooks", "list");
  for (const words of ["ops", "open", "run.failed,gate.*", HOOK])
    expect(listed.stdout).toContain(words);
  expect(listed.stdout).not.toContain(stdout.trim());
  expect(await json("webhooks", "list")).toEqual(await db.call("webhooks.list", {}));
  const again = await tidebase(...create, "--json");
  expect(JSON.parse(again.stderr).error.code).toBe("webhook_exists");
});

test("an address that the list of exceptions does not name is refused", async () => {
  const create = ["webhooks", "create", "inner", "--to", "http://127.0.0.1:10/", "--json"];
  const refused = await tidebase(...create);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(JSON.parse(refused.stderr).error.code).toBe("webhook_url_refused");
  for (const TIDEBASE_WEBHOOK_ALLOW of ["", "https://h"]) {
    const wrong = await runInside(folder, create, { ...env, TIDEBASE_WEBHOOK_ALLOW });
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain("TIDEBASE_WEBHOOK_ALLOW");
  }
});

test("update changes what is given and nothing else; a webhook is disabled and enabled", async () => {
  const id = await made("worker", "--events", "run.*", "--workflows", "a,b", "--only-named-runs");
  const update = ["webhooks", "update", id];
  const before = await json(...update, "--invokes");
  expect(before).toMatchObject({
    ...{ events: ["run.*"], workflows: ["a", "b"], everyRun: false, invokes: true, decides: false },
  });
  const after = await json(...update, "--no-invokes", "--every-run", "--every-workflow");
  expect(after).toEqual({ ...before, invokes: false, everyRun: true, workflows: null });
  expect(await json(...update, "--events", "", "--only-named-runs", "--decides")).toMatchObject({
    ...{ events: [], everyRun: false, decides: true },
  });
  const text = await tidebase("webhooks", "disable", id);
  expect(text.stdout).toMatch(/state +disabled \(requested\)/);
  expect((await tidebase("webhooks", "enable", id)).stdout).toMatch(/state +open/);
  const both = await tidebase(...update, "--workflows", "a", "--every-workflow");
  expect(both.code).toBe(2);
});

test("a new secret is printed, and until when the old one signs", async () => {
  const id = await made("rotated");
  const { stdout, stderr } = await tidebase("webhooks", "rotate", id, "--keep-old", "12h");
  expect(stdout).toMatch(/^whsec_[\w+/=]+\n$/);
  expect(stderr).toContain("signs as well until ");
  expect(await json("webhooks", "rotate", id)).toMatchObject({ webhookId: id });
});

test("deliveries are listed by webhook, run and status, and dead ones sent again", async () => {
  const id = await made("log", "--events", "run.created");
  const [runId, other] = [await db.pending(), await db.pending()];
  const { deliveries } = await json("deliveries", "list", "--webhook", id, "--run", runId);
  expect(deliveries).toMatchObject([{ type: "run.created", status: "pending", runId }]);
  const [{ deliveryId } = { deliveryId: "" }] = deliveries as { deliveryId: string }[];
  const page = await tidebase("deliveries", "list", "--webhook", id, "--limit", "1");
  expect(page.stdout).toContain(other);
  const cursor = /--cursor (\S+)/.exec(page.stderr)?.[1] ?? "";
  const next = await tidebase("deliveries", "list", "--webhook", id, "--cursor", cursor);
  expect(next.stdout).toContain(runId);
  const early = await tidebase("deliveries", "redeliver", deliveryId, "--json");
  expect(JSON.parse(early.stderr).error.code).toBe("delivery_not_dead");
  await db.pool.query(
    "update tidebase.deliveries set status = 'dead', ended_at = tidebase.now() where webhook_id = $1",
    [id.slice("webhook_".length)],
  );
  expect((await tidebase("deliveries", "list", "--status", "dead")).stdout).toContain(deliveryId);
  const one = await tidebase("deliveries", "redeliver", deliveryId);
  expect(one).toMatchObject({ code: 0, stdout: "1 delivery to be sent again.\n" });
  const rest = await json("deliveries", "redeliver", "--webhook", id);
  expect(rest).toEqual({ redelivered: 1, more: false });
});
