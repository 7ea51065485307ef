import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { fillsOutbox, judge, pauseAfter, retryAfterMs } from "../src/deliveries/rules.ts";
import { completing, newGrant, operationNamed, useDatabase } from "./support/database.ts";
import { senderOf, useReceivers } from "./support/receiver.ts";

const db = useDatabase();
const open = useReceivers();
const resolve = async (name: string) => (name === "hooks.example.com" ? ["93.184.215.14"] : []);
const { core, call } = senderOf(db.url, {
  sweeps: false,
  webhooks: { allow: ["127.0.0.1"], resolve },
});
afterAll(() => core.close());

const url = "https://hooks.example.com/in";
const unique = () => `w-${randomUUID()}`;

/** A webhook that nobody sends to, and the types of what is kept for it. */
async function hook(more: object = {}) {
  const name = unique();
  const made = await call("webhooks.create", { name, url, ...more });
  const webhookId = String(made["webhookId"]);
  const types = async () => {
    const { deliveries } = await call("deliveries.list", { webhookId, limit: 200 });
    return (deliveries as { type: string }[]).map(({ type }) => type).reverse();
  };
  return { name, webhookId, secret: String(made["secret"]), types };
}

/** A run with a step and some state, from its creation to its completion. */
async function whole(workflow: string, more: object = {}): Promise<string> {
  const { runId } = await call("runs.create", { workflow, ...more });
  const begun = { runId, grantId: newGrant() };
  const lease = { ...begun, epoch: (await call("runs.begin", begun))["epoch"] };
  await call("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
  await call("state.write", { ...lease, kind: "set", value: 1 });
  await completing(call)(lease);
  return String(runId);
}

test("a webhook's secret is shown when it is made and never again", async () => {
  const { webhookId, secret, name } = await hook();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const { webhooks } = await call("webhooks.list", { limit: 200 });
  expect(JSON.stringify(webhooks)).not.toContain("whsec_");
  expect(webhooks).toContainEqual(
    expect.objectContaining({ webhookId, name, url, events: [], everyRun: true, pending: 0 }),
  );
  const { entries } = await call("audit.list", { limit: 2 });
  expect(JSON.stringify(entries)).not.toContain(secret);
  await expect(call("webhooks.create", { name, url })).rejects.toMatchObject({
    code: "webhook_exists",
  });
});

test("only an administrator makes webhooks, and a run names them without a URL", async () => {
  for (const name of ["webhooks.create", "webhooks.update", "webhooks.rotate", "webhooks.list"])
    expect(operationNamed(name).scope).toBe("admin");
  const refused = { name: unique(), url: "https://127.0.0.2/" };
  await expect(call("webhooks.create", refused)).rejects.toMatchObject({
    code: "webhook_url_refused",
    data: { reason: "address_refused" },
  });
  const { webhookId } = await hook();
  await expect(call("webhooks.update", { webhookId, url: refused.url })).rejects.toMatchObject({
    code: "webhook_url_refused",
  });
});

test.each(["step.begun", "state.*", "usage.recorded", "run", "run.", "**", "run.*.x", "RUN.*", ""])(
  "%j is no pattern of events",
  async (pattern) => {
    const made = call("webhooks.create", { name: unique(), url, events: [pattern] });
    await expect(made).rejects.toMatchObject({ code: "input_invalid" });
  },
);

test("messages are kept for the events that the webhook asked for, and none of steps or state", async () => {
  const workflow = unique();
  const all = await hook({ events: ["*"], workflows: [workflow] });
  const some = await hook({ events: ["run.completed", "gate.*"], workflows: [workflow, "other"] });
  const none = await hook({ workflows: [workflow] });
  const elsewhere = await hook({ events: ["*"], workflows: ["other"] });
  await whole(workflow);
  expect(await all.types()).toEqual(["run.created", "run.begun", "run.completed"]);
  expect(await some.types()).toEqual(["run.completed"]);
  expect(await none.types()).toEqual([]);
  expect(await elsewhere.types()).toEqual([]);
});

test("a webhook that does not follow every run follows those that name it", async () => {
  const workflow = unique();
  const named = await hook({ events: ["run.*"], workflows: [workflow], everyRun: false });
  await whole(workflow);
  expect(await named.types()).toEqual([]);
  await whole(workflow, { webhooks: [named.name] });
  expect(await named.types()).toEqual(["run.created", "run.begun", "run.completed"]);
  await expect(call("runs.create", { workflow, webhooks: [unique()] })).rejects.toMatchObject({
    code: "webhook_not_found",
  });
});

test("an update changes what it names; a disabled webhook gets nothing of that time", async () => {
  const workflow = unique();
  const { webhookId, types } = await hook({ events: ["run.created"], workflows: [workflow] });
  await call("runs.create", { workflow });
  const disabled = await call("webhooks.update", { webhookId, disabled: true });
  expect(disabled).toMatchObject({
    disabledReason: "requested",
    workflows: [workflow],
    pending: 1,
  });
  await call("runs.create", { workflow });
  const changed = { events: ["run.*"], everyRun: false, invokes: true, decides: true };
  const enabled = { webhookId, ...changed, workflows: null, disabled: false };
  expect(await call("webhooks.update", enabled)).toMatchObject({
    ...changed,
    disabledAt: null,
    workflows: null,
    url,
  });
  expect(await types()).toEqual(["run.created"]);
  await call("webhooks.update", { webhookId, disabled: true });
});

test("deliveries are listed a page at a time, newest first, with filters", async () => {
  const workflow = unique();
  const { webhookId } = await hook({ events: ["run.*"], workflows: [workflow] });
  const [first, second] = [await whole(workflow), await whole(workflow)];
  const seen: unknown[] = [];
  let cursor: unknown;
  do {
    const page = await call("deliveries.list", { webhookId, limit: 4, cursor });
    seen.push(...(page["deliveries"] as { runId: string; seq: number }[]).map((d) => d.runId));
    cursor = page["nextCursor"] ?? undefined;
  } while (cursor !== undefined);
  expect(seen).toEqual([second, second, second, first, first, first]);
  const ofRun = await call("deliveries.list", { webhookId, runId: first, status: "pending" });
  expect(ofRun["deliveries"]).toHaveLength(3);
  expect((await call("deliveries.list", { webhookId, status: "dead" }))["deliveries"]).toEqual([]);
  const foreign = call("deliveries.list", { webhookId, cursor: "x" });
  await expect(foreign).rejects.toMatchObject({ code: "cursor_invalid" });
});

test("a gate's message shows the gate; only a webhook that decides gets codes and links, once each", async () => {
  const [plain, deciding] = [await open(), await open()];
  const workflow = unique();
  const more = { events: ["gate.opened"], workflows: [workflow] };
  for (const [receiver, decides] of [
    [plain, false],
    [deciding, true],
  ] as const)
    await call("webhooks.create", { name: unique(), url: receiver.url, decides, ...more });
  const { runId } = await call("runs.create", { workflow });
  const begun = { runId, grantId: newGrant() };
  const lease = { ...begun, epoch: (await call("runs.begin", begun))["epoch"] };
  const webhooks = { allow: ["127.0.0.1"], publicUrl: "https://tidebase.example/" };
  const sender = senderOf(db.url, { webhooks: { ...webhooks, resolve: async () => [] } });
  const { gate } = await sender.call("gates.open", { ...lease, name: "pay", prompt: "Pay?" });
  const { gateId } = gate as { gateId: string };
  const arrived = () => [plain.received.length, deciding.received.length];
  await expect.poll(arrived, { timeout: 10_000 }).toEqual([1, 1]);
  await sender.core.close();
  const shown = { gateId, name: "pay", prompt: "Pay?", status: "open", risk: "normal" };
  const page = `https://tidebase.example/gates/${gateId}`;
  expect(plain.received[0]?.message.data).toMatchObject({ runId, gate: { ...shown, url: page } });
  expect(plain.received[0]?.message.data).not.toHaveProperty("decide");
  const link = (decision: string) => {
    const token = expect.any(String);
    const there = expect.stringMatching(`^${page}#token=[^&]+&decision=${decision}$`);
    return { code: expect.any(String), token, url: there };
  };
  expect(deciding.received[0]?.message.data["decide"]).toEqual({
    approved: link("approved"),
    rejected: link("rejected"),
  });
  const { rows } = await db.pool.query("select d::text as text from tidebase.deliveries d");
  const told = JSON.stringify(deciding.received[0]?.message.data["decide"]);
  const secrets = [...told.matchAll(/"(?:code|token)":"([^"]+)"/g)].map(([, secret]) => secret);
  expect(secrets).toHaveLength(4);
  for (const { text } of rows) for (const secret of secrets) expect(text).not.toContain(secret);
});

describe("the rules", () => {
  test("pauses grow to four hours, twenty per cent to either side, and fill a day with 12 to 16 tries", () => {
    const pauses = (random: number) =>
      Array.from({ length: 9 }, (_, n) => pauseAfter(n + 1, random));
    expect(pauses(0.5).map((ms) => ms / 1000)).toEqual([
      ...[5, 30, 120, 600, 1800, 3600, 7200, 14_400, 14_400],
    ]);
    const attempt = { random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) };
    const property = fc.property(
      fc.array(fc.record(attempt), { minLength: 20, maxLength: 20 }),
      (list) => {
        let [passed, tries] = [0, 0];
        for (const { random } of list) {
          const middle = pauseAfter(tries + 1, 0.5);
          const pause = pauseAfter(tries + 1, random);
          expect(Math.abs(pause - middle)).toBeLessThanOrEqual(middle * 0.2 + 1);
          tries += 1;
          passed += pause;
          if (passed > 86_400_000) break;
        }
        expect(tries).toBeGreaterThan(11);
        expect(tries).toBeLessThan(17);
      },
    );
    fc.assert(property, { seed: 7 });
  });

  test("Retry-After is honoured in both forms up to an hour, and never shortens a pause", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    expect(retryAfterMs("120", now)).toBe(120_000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:10:00 GMT", now)).toBe(600_000);
    expect(retryAfterMs("Thu, 01 Jan 2015 00:10:00 GMT", now)).toBe(0);
    expect(retryAfterMs("999999", now)).toBe(3_600_000);
    for (const nonsense of [undefined, "", "soon", "-5", "1e9", "9".repeat(400)])
      expect([undefined, 0]).toContain(retryAfterMs(nonsense, now));
    const judged = (status: number, attempts: number) =>
      judge({ status, retryAfter: "60" }, { type: "run.failed", attempts }, { now, random: 0.5 });
    expect([429, 503, 500].map((status) => judged(status, 1).pauseMs)).toEqual([
      60_000, 60_000, 5000,
    ]);
    expect(judged(429, 5).pauseMs).toBe(1_800_000);
  });

  test("2xx alone is success, 410 is the end, and an invitation is only asked", () => {
    const verdict = (status: number | undefined, type = "run.failed") =>
      judge(
        status === undefined ? { error: "timeout" } : { status },
        { type, attempts: 1 },
        { now: 0, random: 0 },
      );
    for (const status of [200, 202, 204, 299]) expect(verdict(status).verdict).toBe("delivered");
    for (const status of [undefined, 0, 101, 199, 301, 302, 304, 307, 400, 404, 429, 500, 503])
      expect(verdict(status)).toMatchObject({ verdict: "failed", gone: false });
    expect(verdict(410)).toMatchObject({ verdict: "failed", gone: true });
    expect(verdict(202, "run.invoke")).toMatchObject({ verdict: "asked", pauseMs: 60_000 });
  });

  test("what a worker writes all day wakes no dispatcher", () => {
    const wakes = (name: string) => fillsOutbox(operationNamed(name));
    for (const name of [
      "steps.begin",
      "steps.complete",
      "state.write",
      "runs.heartbeat",
      "runs.get",
    ])
      expect(wakes(name), name).toBe(false);
    for (const name of [
      "runs.create",
      "runs.complete",
      "steps.review",
      "runs.recover",
      "gates.open",
    ])
      expect(wakes(name), name).toBe(true);
  });
});
