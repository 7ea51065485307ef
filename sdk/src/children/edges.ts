import { isTidebaseError, TidebaseError } from "../errors.ts";
import { fenced } from "../leases/fenced.ts";
import type { Operations } from "../operations.gen.ts";
import type { Workflow } from "../runs/run.ts";
import { untilAborted } from "../steps/execute.ts";
import { coalesce } from "../transport/coalesce.ts";
import type { Waiting } from "../waits/waiting.ts";
import type { AskedChild, NewChild } from "./ask.ts";
import { type ChildEnd, childMismatch, endOf, type ListedChild, type Status } from "./end.ts";

/**
 * Works on a child in this process, to the end of its attempt, as `tide.run` does on any run. It is
 * handed back when its parent's signal is aborted, unless the parent was cancelled: then the server
 * cancels the child as well. Without the signal it goes on whatever becomes of the parent.
 */
export type WorkOnChild = (
  runId: string,
  workflow: { readonly name: string; readonly code?: Workflow<never, unknown> },
  parent: AbortSignal | undefined,
) => Promise<unknown>;

/** A child on the server. */
export interface Made {
  readonly runId: string;
  readonly status: Status;
}

type Created = Operations["children.create"]["output"]["results"][number];

const PAGE = 1000;

/** The children of one attempt: creates them, looks at them, works on them. */
export class Edges {
  readonly waiting: Waiting;
  readonly #workOn: WorkOnChild;
  readonly #uses = new Map<string, "child" | "fanout">();
  /** What is asked for at the same time travels in one request of at most 1,000. */
  readonly #create: (item: string) => Promise<Created>;

  constructor(waiting: Waiting, workOn: WorkOnChild) {
    const { connection, held } = waiting;
    this.waiting = waiting;
    this.#workOn = workOn;
    this.#create = coalesce(async (items) => {
      const children = items.map((item) => JSON.parse(item) as NewChild);
      const input = { ...held.lease, children };
      return (await fenced(connection, held, "children.create", input)).results;
    });
  }

  /** The children of a name are one fan-out, or each on its own: a join waits for all of a name. */
  claim(name: string, use: "child" | "fanout"): void {
    const before = this.#uses.get(name) ?? use;
    this.#uses.set(name, use);
    if (before === use) return;
    const says = `"${name}" names a fan-out and a child of its own in one run. Give one of them another name.`;
    throw new TidebaseError("input_invalid", says, { name });
  }

  /** In the order of the children. Throws `child_mismatch` and names those that are something else. */
  async create(children: readonly AskedChild[]): Promise<Made[]> {
    const made = await this.waiting.activity.during(() =>
      Promise.all(children.map(({ item }) => this.#create(JSON.stringify(item)))),
    );
    const others = children.filter((_, index) => made[index]?.outcome === "child_mismatch");
    const [first] = others;
    if (first === undefined) return made;
    const { name } = first;
    const keys = others.slice(0, 20).map(({ key }) => key);
    const which = keys.length === 1 && keys[0] === "" ? "" : ` with key ${keys.join(", ")}`;
    throw childMismatch(`Child "${name}"${which}`, { name, keys });
  }

  /** How the child stands, and its end if it has ended. */
  async look(runId: string): Promise<{ readonly status: Status; readonly end?: ChildEnd }> {
    const { connection } = this.waiting;
    const found = await connection.call("runs.get", { runId, include: ["result"] });
    const { run, result, resultMeta } = found;
    const errorMessage = run.cancelReason ?? run.errorMessage;
    const end = endOf({ ...run, errorMessage, result, resultMeta });
    return { status: run.status, ...(end && { end }) };
  }

  /** Every child of the name, by its key. */
  async list(name: string, withResult = false): Promise<Map<string, ListedChild>> {
    const { connection, held } = this.waiting;
    const all = new Map<string, ListedChild>();
    const include = withResult ? { include: ["result"] as const } : {};
    const ask = { runId: held.lease.runId, name, limit: PAGE, ...include };
    for (let after: { afterName?: string; afterKey?: string } = {}; ; ) {
      const page = await connection.call("children.list", { ...ask, ...after });
      for (const child of page.children) all.set(child.key, child);
      if (page.afterName === null || page.afterKey === null) return all;
      after = { afterName: page.afterName, afterKey: page.afterKey };
    }
  }

  /**
   * Begins the child in this process. Gives its end, or undefined when it waits for something and has
   * left the process. To be called within `steps.during`, which keeps this attempt from suspending.
   */
  async work({ workflow, item }: AskedChild, { runId }: Made): Promise<ChildEnd | undefined> {
    const { signal } = this.waiting.held;
    const work = () =>
      item.detached === true
        ? untilAborted(signal, this.#workOn(runId, workflow, undefined))
        : this.#workOn(runId, workflow, signal);
    for (;;) {
      signal.throwIfAborted();
      try {
        return { status: "completed", result: await work() };
      } catch (error) {
        signal.throwIfAborted();
        const isItsOwn = isTidebaseError(error) && error.data["runId"] === runId;
        if (isItsOwn && (error.code === "run_suspended" || error.code === "run_in_queue"))
          return undefined; // a queue's: code of before put it there
        const found = await this.look(runId).catch(() => undefined);
        if (found?.end?.status === "completed") return found.end;
        if (found?.end !== undefined) return { ...found.end, cause: error };
        const isElsewhere = isItsOwn && error.code === "lease_lost" && found?.status === "running";
        if (!isElsewhere) throw error;
      }
    }
  }

  /** Ends what is not final yet; what has ended meanwhile stays as it is. */
  async cancel(runId: string, reason: string): Promise<void> {
    const { connection } = this.waiting;
    await connection.call("runs.cancel", { runId, reason }).catch((error: unknown) => {
      if (!isTidebaseError(error, "run_completed", "run_not_found")) throw error;
    });
  }
}
