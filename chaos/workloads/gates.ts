import { enqueue, type Once, repeated, withClient } from "./client.ts";
import type { AskInput } from "./inputs.ts";
import { paced, pause, percent } from "./pace.ts";
import type { Load, Workload } from "./workload.ts";

const PER_SECOND = 1.2;
const LOOK_EVERY_MS = 400;

/** Whoever may decide, and whoever only works. */
interface Sides {
  readonly human: Once;
  readonly agent: Once;
}

/** Questions to humans: several decide at once, some too late, agents try as well, and all read it afterwards. */
export const gates: Workload = {
  id: "W3",
  title: "gates and signals",
  drive: (load) =>
    withClient(load, load.world.keys.human, (human) =>
      withClient(load, load.world.keys.worker, async (agent) => {
        const asking = paced(load, PER_SECOND, () => ask(load, agent));
        await Promise.all([asking, answer(load, { human, agent })]);
      }),
    ),
};

async function ask(load: Load, agent: Once): Promise<void> {
  const input: AskInput = {
    expiresMs: percent(load, 20) ? 1000 + load.random(2000) : null,
    awaitsSignal: percent(load, 40),
  };
  const queued = await enqueue(load, agent, { workflow: "ask", input, maxAttempts: 20 });
  if (queued === undefined || !input.awaitsSignal) return;
  const { runId } = queued;
  await pause(load, load.random(3000));
  const signal = { runId, name: "news", payload: { of: runId }, key: "first" };
  const op = { f: "signals.send", key: runId, value: { name: "news", key: "first" } };
  const send = () => repeated(load, op, () => agent("signals.send", signal));
  await Promise.all([send(), send()]);
}

/** Looks for open gates and has each decided. */
async function answer(load: Load, sides: Sides): Promise<void> {
  const seen = new Map<string, Promise<void>>();
  while (!load.stop.aborted) {
    const open = { workflow: "ask", status: "open", limit: 100 } as const;
    const page = await sides.human("gates.list", open).catch(() => undefined);
    for (const { gateId } of page?.gates ?? [])
      if (!seen.has(gateId)) seen.set(gateId, decide(load, sides, gateId));
    await pause(load, LOOK_EVERY_MS);
  }
  await Promise.all(seen.values());
}

async function decide(load: Load, { human, agent }: Sides, gateId: string): Promise<void> {
  await pause(load, load.random(2500));
  const digest = await digestOf(human, gateId);
  if (digest === undefined) return;
  const deciders = Array.from({ length: 2 + load.random(3) }, async () => {
    const decision = percent(load, 50) ? "approved" : "rejected";
    const op = { f: "gates.resolve", key: gateId, value: { decision } };
    await repeated(load, op, async () => {
      const { gate } = await human("gates.resolve", { gateId, decision, digest });
      return { decision: gate.status };
    });
    await read(load, agent, gateId);
  });
  if (percent(load, 30)) deciders.push(trespass(load, agent, { gateId, digest }));
  await Promise.all(deciders);
  await pause(load, load.random(4000));
  await read(load, human, gateId);
}

/** An agent's key decides nothing; the record says whose it was. */
async function trespass(
  load: Load,
  agent: Once,
  gate: { readonly gateId: string; readonly digest: string },
): Promise<void> {
  const decision = "approved";
  const op = { f: "gates.resolve", key: gate.gateId, value: { decision, as: "worker" } };
  await load.recorded(op, async () => {
    const { status } = (await agent("gates.resolve", { ...gate, decision })).gate;
    return { decision: status };
  });
}

async function read(load: Load, once: Once, gateId: string): Promise<void> {
  await load.recorded({ f: "gates.get", key: gateId }, async () => {
    const { status } = (await once("gates.get", { gateId })).gate;
    const isDecided = status === "approved" || status === "rejected";
    return { status, decision: isDecided ? status : null };
  });
}

async function digestOf(human: Once, gateId: string): Promise<string | undefined> {
  const found = await human("gates.get", { gateId }).catch(() => undefined);
  return found?.gate.digest;
}
