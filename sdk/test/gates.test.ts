import { newRunId, type Run } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { decide, eventTypes, openGate, statusOf, suspension } from "./deciding.ts";
import { useServer } from "./support.ts";

const server = useServer();

test("a gate suspends the run without an attempt, and the decision is there when it is begun again", async () => {
  const runId = newRunId();
  const effects: string[] = [];
  const work = () =>
    server.tidebase.run("report", { runId }, async ({ step, gate }) => {
      await step("write", () => effects.push("written"));
      const decision = await gate("send", {
        prompt: "Send it?",
        data: { to: "board" },
        answerSchema: { type: "object", properties: { when: { type: "string" } } },
      });
      await step("send", () => effects.push("sent"));
      return decision;
    });
  const reason = await suspension(work());
  const gateId = await openGate(server, runId, "send");
  expect(reason.data).toMatchObject({ runId, waits: { gates: [gateId] }, wakeAt: null });
  expect(reason.message).toContain(`gate "send" (${gateId})`);
  expect(await statusOf(server, runId)).toBe("waiting");
  await decide(server, gateId, "approved", { answer: { when: "today" }, note: "fine" });
  expect(await statusOf(server, runId)).toBe("pending");
  expect(await work()).toMatchObject({
    ...{ approved: true, status: "approved", gateId, note: "fine", answer: { when: "today" } },
    ...{ decidedBy: "ada", via: "tty", assurance: "code", decidedAt: expect.any(String) },
  });
  expect(effects).toEqual(["written", "sent"]);
  expect((await server.tidebase.runs.get(runId)).run).toMatchObject({ attempts: 0, epoch: 2 });
});

test("a gate that is decided already does not suspend, whatever the decision is", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("w", { runId }, ({ gate }) => gate("ask", { prompt: "Well?" }));
  await suspension(work());
  await decide(server, await openGate(server, runId, "ask"), "rejected");
  expect(await work()).toMatchObject({ approved: false, status: "rejected", answer: null });
  expect(await eventTypes(server, runId)).not.toContain("run.interrupted");
});

test("a decision that comes between the opening and the suspension is found at once", async () => {
  const runId = newRunId();
  server.meddle = async (path, answer) => {
    if (path.endsWith("/suspend")) await decide(server, await openGate(server, runId, "ask"));
    return answer();
  };
  const asked = server.tidebase.run("w", { runId }, async ({ gate }) => {
    const { approved } = await gate("ask", { prompt: "Well?" });
    return approved;
  });
  expect(await asked).toBe(true);
  expect(await eventTypes(server, runId)).not.toContain("run.suspended");
  expect((await server.tidebase.runs.get(runId)).run.epoch).toBe(1);
});

test("an answer to a suspension that was lost is asked for again", async () => {
  const runId = newRunId();
  let lost = 0;
  server.meddle = async (path, answer) => {
    const answered = await answer();
    if (!path.endsWith("/suspend") || lost > 0) return answered;
    lost += 1;
    return new Response("gone", { status: 502 });
  };
  await suspension(
    server.tidebase.run("w", { runId }, ({ gate }) => gate("ask", { prompt: "Well?" })),
  );
  expect(lost).toBe(1);
  expect((await eventTypes(server, runId)).filter((type) => type === "run.suspended")).toHaveLength(
    1,
  );
});

test("with block the process and the lease are kept until the decision", async () => {
  const runId = newRunId();
  const tidebase = server.client({ onWait: "block", leaseMs: 1000 });
  const asked = tidebase.run("w", { runId }, async ({ gate, step }) => {
    const { approved } = await gate("ask", { prompt: "Well?" });
    return step("after", () => approved);
  });
  const gateId = await openGate(server, runId, "ask");
  await expect
    .poll(() => server.requests.filter((path) => path === "/v1/runs/heartbeat").length, {
      timeout: 5000,
    })
    .toBeGreaterThan(2);
  expect(await statusOf(server, runId)).toBe("running");
  await decide(server, gateId);
  expect(await asked).toBe(true);
  expect(server.requests.some((path) => path.endsWith("/suspend"))).toBe(false);
});

test("a blocked wait ends when its run is cancelled, and when its client is closed", async () => {
  const [cancelled, closed] = [newRunId(), newRunId()];
  const tidebase = server.client({ leaseMs: 600 });
  const blocked = (runId: string) =>
    tidebase
      .run("w", { runId, onWait: "block" }, ({ gate }) => gate("ask", { prompt: "Well?" }))
      .catch((error: unknown) => error);
  const [one, two] = [blocked(cancelled), blocked(closed)];
  await Promise.all([openGate(server, cancelled, "ask"), openGate(server, closed, "ask")]);
  await server.db.cancel(cancelled);
  expect(await one).toMatchObject({ code: "run_cancelled" });
  await tidebase.close();
  expect(await two).toMatchObject({ code: "run_released" });
  expect(await statusOf(server, closed)).toBe("pending");
});

test("a wait that nobody listens to yet does not end the process with its run", async () => {
  const runId = newRunId();
  const tidebase = server.client({ leaseMs: 600 });
  const attempt = tidebase.run("w", { runId, onWait: "block" }, async ({ gate, step }) => {
    const asked = gate("ask", { prompt: "Well?" });
    await step("first", async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    return asked;
  });
  const ended = attempt.catch((error: unknown) => error);
  await openGate(server, runId, "ask");
  await server.db.cancel(runId);
  expect(await ended).toMatchObject({ code: "run_cancelled" });
});

test("two gates at once are one suspension, and each decision leaves the other open", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("w", { runId }, async ({ gate }) => {
      const ask = (key: string) => gate("ask", { key, prompt: `Well, ${key}?` });
      const decisions = await Promise.all([ask("a"), ask("b")]);
      return decisions.map(({ status }) => status);
    });
  const { data } = await suspension(work());
  const [a, b] = [
    await openGate(server, runId, "ask", "a"),
    await openGate(server, runId, "ask", "b"),
  ];
  expect(new Set((data["waits"] as { gates: string[] }).gates)).toEqual(new Set([a, b]));
  await decide(server, a);
  expect((await suspension(work())).data["waits"]).toMatchObject({ gates: [b] });
  await decide(server, b, "rejected");
  expect(await work()).toEqual(["approved", "rejected"]);
});

test("a blocked wait outlives a restart of the server", async () => {
  const runId = newRunId();
  const asked = server.tidebase.run("w", { runId }, async ({ gate }) => {
    const { approved } = await gate("ask", { prompt: "Well?", onWait: "block" });
    return approved;
  });
  const gateId = await openGate(server, runId, "ask");
  await expect.poll(() => server.requests.some((path) => path.endsWith("/stream"))).toBe(true);
  await server.stop();
  await server.start();
  await decide(server, gateId);
  expect(await asked).toBe(true);
}, 20_000);

test("an expired gate counts as not approved", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("w", { runId }, ({ gate }) =>
      gate("ask", { prompt: "Well?", expiresIn: "1h" }),
    );
  await suspension(work());
  await server.db.advance("2 hours");
  await server.sweep();
  expect(await statusOf(server, runId)).toBe("pending");
  expect(await work()).toMatchObject({ approved: false, status: "expired", decidedBy: null });
});

test("a run that finds its gate's time over goes on once the server has ended the gate", async () => {
  const runId = newRunId();
  const work = () =>
    server.tidebase.run("w", { runId }, ({ gate }) =>
      gate("ask", { prompt: "Well?", expiresIn: "1h" }),
    );
  await suspension(work());
  await server.db.advance("2 hours");
  server.requests.length = 0;
  const again = work();
  const asked = () => server.requests.filter((path) => path.endsWith("/suspend")).length;
  await expect.poll(asked, { timeout: 5000 }).toBeGreaterThan(1);
  await server.sweep();
  expect(await again).toMatchObject({ status: "expired" });
}, 20_000);

test("nobody's approval is used for what they did not see", async () => {
  const runId = newRunId();
  const work = (amount: number) =>
    server.tidebase.run("w", { runId }, ({ gate }) =>
      gate("pay", { prompt: "Pay?", data: { amount } }),
    );
  await suspension(work(1));
  await decide(server, await openGate(server, runId, "pay"));
  await expect(work(1000)).rejects.toMatchObject({ code: "gate_mismatch" });
  const twice = server.tidebase.run("w", async ({ gate }) => {
    await Promise.all([gate("pay", { prompt: "1?" }), gate("pay", { prompt: "1000?" })]);
  });
  await expect(twice).rejects.toMatchObject({
    code: "gate_mismatch",
    message: expect.stringContaining("key"),
  });
});

test("what would not be shown as it is, is refused before it is asked", async () => {
  const asked = (data: unknown) =>
    server.tidebase.run("w", ({ gate }) => gate("g", { prompt: "?", data }));
  for (const data of [new Date(), { a: undefined }, [1n], new Map()])
    await expect(asked(data)).rejects.toMatchObject({ code: "gate_not_json" });
  const expiring = server.tidebase.run("w", ({ gate }) =>
    gate("g", { prompt: "?", expiresIn: "soon" as never }),
  );
  await expect(expiring).rejects.toMatchObject({ code: "input_invalid" });
});

test("code that cannot wait opens a gate and looks at it later", async () => {
  const runId = newRunId();
  const look = (gates: Run<undefined>["gates"]) =>
    Promise.all([gates.get("ask", "1"), gates.get("ask")]);
  const first = await server.tidebase
    .run("w", { runId }, async ({ gates }) => {
      const gate = await gates.open("ask", { key: "1", prompt: "Well?" });
      expect((await gates.get(gate.gateId))?.status).toBe("open");
      expect(await look(gates)).toMatchObject([{ gateId: gate.gateId }, undefined]);
      await decide(server, gate.gateId);
      throw new Error(gate.gateId);
    })
    .catch((error: Error) => error.message);
  server.requests.length = 0;
  const again = await server.tidebase.run("w", { runId }, ({ gates }) => look(gates));
  expect(again).toMatchObject([{ gateId: first, status: "approved" }, undefined]);
  expect(server.requests.filter((path) => path === "/v1/gates")).toHaveLength(2);
});
