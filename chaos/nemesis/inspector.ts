import { once } from "node:events";
import { WebSocket } from "undici";
import type { Actor } from "../world/world.ts";
import { portsOf } from "./process-facts.ts";
import { until } from "./seen.ts";

/** The inspector of a running Node process. */
export interface Inspector {
  /** What the expression, or the promise that it is, comes to in that process. */
  evaluate(expression: string): Promise<unknown>;
  /** Leaves, and has the process close its inspector. */
  close(): Promise<void>;
}

/** The inspector's port is one for all processes of a machine: who finds it taken is asked again. */
const OPENS_MS = 10_000;
const ASK_AGAIN_MS = 1000;
/** After this the process closes its inspector by itself: it cannot while it answers to us. */
const LEAVE_MS = 50;

/**
 * Opens the inspector of a program that was started without any flag: SIGUSR1 is Node's own way to do so. Throws when it does
 * not open within 10 s, as when another program holds its port.
 */
export async function openInspector(actor: Actor): Promise<Inspector> {
  const { name, pid } = actor;
  const own = await portsOf(pid);
  let askedAt = Number.NEGATIVE_INFINITY;
  const port = await until(
    `the inspector of ${name} opens`,
    async () => {
      const opened = (await portsOf(pid)).find((one) => !own.includes(one));
      if (opened !== undefined || performance.now() - askedAt < ASK_AGAIN_MS) return opened;
      askedAt = performance.now();
      await actor.signal("SIGUSR1");
      return undefined;
    },
    OPENS_MS,
  );
  const response = await fetch(`http://127.0.0.1:${port}/json/list`);
  const [{ webSocketDebuggerUrl }] = (await response.json()) as [{ webSocketDebuggerUrl: string }];
  const socket = new WebSocket(webSocketDebuggerUrl);
  await once(socket, "open");
  const evaluate = evaluator(socket);

  return {
    evaluate,
    async close() {
      await evaluate(`void setTimeout(() => process._debugEnd(), ${LEAVE_MS})`);
      socket.close();
      await until(`the inspector of ${name} is closed`, async () => {
        return !(await portsOf(pid)).includes(port);
      });
    },
  };
}

/** What the inspector says to one command. */
interface Reply {
  readonly id?: number;
  readonly error?: { readonly message: string };
  readonly result?: {
    readonly result: { readonly value?: unknown };
    readonly exceptionDetails?: { readonly text: string };
  };
}

function evaluator(socket: WebSocket): Inspector["evaluate"] {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  socket.addEventListener("message", ({ data }) => {
    const { id = 0, error, result } = JSON.parse(String(data)) as Reply;
    const problem = error?.message ?? result?.exceptionDetails?.text;
    if (problem === undefined) waiting.get(id)?.resolve(result?.result.value);
    else waiting.get(id)?.reject(new Error(problem));
    waiting.delete(id);
  });
  socket.addEventListener("close", () => {
    for (const { reject } of waiting.values()) reject(new Error("The inspector is gone."));
    waiting.clear();
  });
  return (expression) =>
    new Promise((resolve, reject) => {
      last += 1;
      const id = last;
      waiting.set(id, { resolve, reject });
      const params = { expression, awaitPromise: true, returnByValue: true };
      socket.send(JSON.stringify({ id, method: "Runtime.evaluate", params }));
    });
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}
