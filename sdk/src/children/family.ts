import type { EndedChild } from "../waits/suspension.ts";
import type { AskedChild } from "./ask.ts";
import type { FanoutOptions } from "./ask-all.ts";
import { LOOK_EVERY_MS } from "./child.ts";
import type { Edges, Made } from "./edges.ts";
import { type ChildEnd, endOf, isEnd, isReady, type Status } from "./end.ts";
import { limited } from "./limited.ts";

/** An end, and whose it is; undefined where a join did not wait for it. */
export type FamilyEnd = (ChildEnd & { readonly childRunId: string }) | undefined;

/** As many children of one fan-out are begun at once by one process, unless it says otherwise. */
const MOST_HERE = 50;
const CANCELS_AT_ONCE = 10;

/** The children of one fan-out in one attempt. */
export class Family {
  readonly #edges: Edges;
  readonly #name: string;
  readonly #children: readonly AskedChild[];
  readonly #options: FanoutOptions;
  #made: readonly Made[] = [];
  /** By index, as far as they are known. */
  readonly #status: (Status | undefined)[] = [];
  /** How those ended that this process has worked on. */
  readonly #ends: (ChildEnd | undefined)[] = [];
  /** Whose end was told by an event, which a list may be too old to know. */
  readonly #told = new Set<string>();
  #isOver = false;
  #onResult: () => void = () => {};

  constructor(edges: Edges, name: string, children: readonly AskedChild[], options: FanoutOptions) {
    this.#edges = edges;
    this.#name = name;
    this.#children = children;
    this.#options = options;
  }

  /** Creates or finds them, works on those of this process, and waits for the join. */
  async ended(): Promise<FamilyEnd[]> {
    this.#made = await this.#edges.create(this.#children);
    for (const [index, { status }] of this.#made.entries()) this.#status[index] = status;
    const isHere = this.#options.queue === undefined;
    const mayBegin = isHere && !this.#hasResult();
    let left = this.#indexes((status) => mayBegin && !isDone(status) && status !== "waiting");
    while (left.length > 0 || !this.#isJoined()) {
      if (left.length > 0) await this.#workOn(left);
      if (this.#isJoined()) break;
      left = await this.#waited(isHere);
    }
    return this.#read();
  }

  /** Cancels what has not ended. */
  async cancelRest(): Promise<void> {
    this.#isOver = true;
    const open = this.#indexes((status) => !isEnd(status));
    const reason = `Another child of the fan-out "${this.#name}" gave the result.`;
    await this.#edges.waiting.steps.during(`join:${this.#name}`, () =>
      limited(open, CANCELS_AT_ONCE, async (index) => {
        const runId = this.#made[index]?.runId;
        if (runId !== undefined) await this.#edges.cancel(runId, reason);
      }),
    );
  }

  /**
   * Works on these until each has ended or waits for something; of `any`, until one has given a
   * result, and the others go on beside what comes next.
   */
  async #workOn(indexes: readonly number[]): Promise<void> {
    const most = this.#options.maxConcurrency ?? MOST_HERE;
    const worked = this.#edges.waiting.steps.during(`join:${this.#name}`, () =>
      limited(
        indexes,
        most,
        (index) => this.#work(index),
        () => this.#isOver,
      ),
    );
    if (this.#options.join !== "any") return worked;
    const result = new Promise<void>((resolve) => {
      this.#onResult = resolve;
    });
    return Promise.race([worked, result]);
  }

  async #work(index: number): Promise<void> {
    const [child, made] = [this.#children[index], this.#made[index]];
    if (child === undefined || made === undefined) return;
    const end = await this.#edges.work(child, made);
    this.#status[index] = end?.status ?? "waiting";
    this.#ends[index] = end;
    if (end?.status === "completed") this.#onResult();
  }

  /** Gives those that this process may begin by now; none when the join is satisfied. */
  #waited(isHere: boolean): Promise<number[]> {
    const { waits } = this.#edges.waiting;
    const [name, mode] = [this.#name, this.#options.join === "any" ? "any" : "all"] as const;
    const says = `${mode === "any" ? "any" : "all"} of the ${this.#children.length} children of fan-out "${name}"`;
    const { onWait } = this.#options;
    const blocks = onWait === undefined ? waits.blocks : onWait === "block";
    const awaited = { join: { name, mode }, hears: this.#hears, says };
    return waits.until(awaited, onWait, async () => {
      await this.#look();
      const ready = this.#indexes((status) => isHere && isReady(status));
      if (ready.length > 0 || this.#isJoined()) return { value: ready };
      return blocks && isHere ? { leftMs: LOOK_EVERY_MS } : {};
    });
  }

  async #look(): Promise<void> {
    const all = await this.#edges.list(this.#name);
    for (const [index, { key }] of this.#children.entries())
      this.#status[index] = all.get(key)?.status;
  }

  readonly #hears = ({ name, key, status }: EndedChild): boolean => {
    if (name !== this.#name) return false;
    this.#told.add(key);
    if (this.#options.join === "any" && status === "completed") return true;
    const isOpen = ({ key: other }: AskedChild, index: number) =>
      !isEnd(this.#status[index] ?? "pending") && !this.#told.has(other);
    return !this.#children.some(isOpen);
  };

  #isJoined(): boolean {
    return this.#hasResult() || this.#indexes((status) => !isEnd(status)).length === 0;
  }

  /** Of `any`: nothing more is needed. */
  #hasResult(): boolean {
    return this.#options.join === "any" && this.#status.includes("completed");
  }

  #indexes(which: (status: Status) => boolean): number[] {
    return [...this.#children.keys()].filter((index) => which(this.#status[index] ?? "pending"));
  }

  /** What this process does not know of the ends is read from the server; of `any` the first alone. */
  async #read(): Promise<FamilyEnd[]> {
    const { activity } = this.#edges.waiting;
    const first = this.#indexes((status) => status === "completed")[0];
    if (this.#options.join === "any" && first !== undefined) {
      const childRunId = this.#made[first]?.runId ?? "";
      const known =
        this.#ends[first] ?? (await activity.during(() => this.#edges.look(childRunId))).end;
      return this.#children.map((_, index) =>
        index === first && known !== undefined ? { ...known, childRunId } : undefined,
      );
    }
    const isKnown = (index: number) => this.#ends[index]?.status === this.#status[index];
    const all = this.#indexes(isEnd).every(isKnown)
      ? new Map<string, never>()
      : await activity.during(() => this.#edges.list(this.#name, true));
    return this.#children.map(({ key }, index) => {
      const listed = all.get(key);
      const own = this.#ends[index]; // has the cause
      const end = listed === undefined || own?.status === listed.status ? own : endOf(listed);
      const childRunId = this.#made[index]?.runId ?? "";
      return end === undefined ? undefined : { ...end, childRunId };
    });
  }
}

/** Nobody begins it any more: what has failed may be begun again. */
function isDone(status: Status): boolean {
  return status === "completed" || status === "cancelled";
}
