import { expect, test } from "vitest";
import { openCore } from "../src/index.ts";
import { newGrant, signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();
const seed = Number(process.env["TIDEBASE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["TIDEBASE_WAKE_ROUNDS"] ?? 100);
type Lease = { runId: string; epoch: number; grantId: string };

/** mulberry32: small, and the same everywhere. */
function randomOf(state: number): () => number {
  let a = state;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Cause {
  /** What the run names in its suspend. */
  readonly waits: object;
  /** What makes it go on. */
  happen(): Promise<unknown>;
}

/** Everything that can wake a run. A timer is due when it is looked at, so it needs no act. */
const causes: Record<string, (lease: Lease, lateMs: number) => Promise<Cause>> = {
  gate: async (lease) => {
    const { gateId, digest } = await db.gate(lease);
    const decision = { gateId, digest, decision: "approved" };
    return {
      waits: { gates: [gateId] },
      happen: () => db.call("gates.resolve", decision, signedIn("ada")),
    };
  },
  signal: async ({ runId }) => ({
    waits: { signals: ["go"] },
    happen: () => db.call("signals.send", { runId, name: "go" }),
  }),
  timer: async (lease, lateMs) => {
    const timer = { name: "nap", key: "" };
    await db.call("timers.set", { ...lease, ...timer, ms: lateMs });
    return { waits: { timers: [timer] }, happen: async () => undefined };
  },
};

async function isStuck({ runId }: Lease): Promise<boolean> {
  const { run } = (await db.call("runs.get", { runId })) as { run: { status: string } };
  return run.status === "waiting";
}

test.each([
  ["gate", "suspend", "happen"],
  ["gate", "happen", "suspend"],
  ["signal", "suspend", "happen"],
  ["signal", "happen", "suspend"],
])("at the lock, %s: %s before %s leaves no run waiting", async (kind, first) => {
  const lease = await db.begun();
  const cause = (await causes[kind]?.(lease, 0)) as Cause;
  const suspend = () => db.call("runs.suspend", { ...lease, waits: cause.waits });
  const release = await db.hold(lease.runId);
  const one = first === "suspend" ? suspend() : cause.happen();
  await db.blocked(1);
  const two = first === "suspend" ? cause.happen() : suspend();
  await db.blocked(2);
  await release();
  const [a, b] = (await Promise.all([one, two])) as { outcome?: string }[];
  expect(await isStuck(lease)).toBe(false);
  if (first === "happen") expect(b?.outcome).toBe("resumeNow");
  else expect(a?.outcome).toBe("waiting");
});

test("at the lock, timer: a run whose timer is over before it is suspended does not sleep on", async () => {
  const lease = await db.begun();
  const cause = (await causes["timer"]?.(lease, 60_000)) as Cause;
  const release = await db.hold(lease.runId);
  const suspended = db.call("runs.suspend", { ...lease, waits: cause.waits });
  await db.blocked(1);
  await db.advance("2 minutes");
  await release();
  await suspended;
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  await expect.poll(() => isStuck(lease), { interval: 5 }).toBe(false);
  await core.close();
});

test(`${ROUNDS} rounds of suspending against what it waits for: no run waits for what has happened (seed ${seed})`, async () => {
  const random = randomOf(seed);
  const core = openCore({ databaseUrl: db.url, sweepEveryMs: 20 });
  const seen: Record<string, number> = {};
  const names = Object.keys(causes);
  for (let round = 0; round < ROUNDS; round++) {
    const lease = await db.begun();
    const kind = names[round % names.length] ?? "gate";
    const cause = (await causes[kind]?.(lease, Math.floor(random() * 4))) as Cause;
    const pause = Math.floor(random() * 4);
    const late = async <T>(turns: number, work: () => Promise<T>) => {
      for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve));
      return work();
    };
    if (round % 10 === 9) await cause.happen(); // luck may leave this order out
    const [suspended] = await Promise.all([
      late(pause, () => db.call("runs.suspend", { ...lease, waits: cause.waits })),
      round % 10 === 9 ? undefined : late(3 - pause, cause.happen),
    ]);
    const outcome = `${kind} ${String(suspended["outcome"])}`;
    seen[outcome] = (seen[outcome] ?? 0) + 1;
    await expect.poll(() => isStuck(lease), { interval: 5, timeout: 5000 }).toBe(false);
    if (suspended["outcome"] === "waiting")
      expect(
        await db.call("runs.begin", { runId: lease.runId, grantId: newGrant() }),
      ).toMatchObject({ attempts: 0, epoch: 2 });
  }
  await core.close();
  expect(Object.keys(seen), "both orders happened").toEqual(
    expect.arrayContaining([
      "gate waiting",
      "gate resumeNow",
      "signal waiting",
      "signal resumeNow",
    ]),
  );
}, 300_000);
