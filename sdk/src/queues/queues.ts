import type { Connection } from "../connection.ts";
import type { Operations } from "../operations.gen.ts";

type Input<Name extends keyof Operations> = Operations[Name]["input"];
type Output<Name extends keyof Operations> = Operations[Name]["output"];

/** A queue: its limits, its counts, the age of its oldest ready run. */
export type Queue = Output<"queues.get">["queue"];

/** Looks at queues and acts on them; `Tidebase.work` works on their runs. */
export class Queues {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** A page of queues, by name. */
  list(page: Input<"queues.list"> = {}): Promise<Output<"queues.list">> {
    return this.#connection.call("queues.list", page);
  }

  /** The queue and its workers. One that nobody has used yet is an empty one. */
  get(queue: string): Promise<Output<"queues.get">> {
    return this.#connection.call("queues.get", { queue });
  }

  /** From now on nothing is claimed; what runs goes on. */
  pause(queue: string): Promise<Queue> {
    return this.update(queue, { paused: true });
  }

  resume(queue: string): Promise<Queue> {
    return this.update(queue, { paused: false });
  }

  /** Sets what is given; `null` lifts a limit. Throws `webhook_not_found`. */
  async update(queue: string, changes: Omit<Input<"queues.update">, "queue">): Promise<Queue> {
    const updated = await this.#connection.call("queues.update", { queue, ...changes });
    return updated.queue;
  }

  /**
   * Counts the queue's dead letters that match (`dryRun`, the default), or queues them again with fresh
   * attempts and what they had recorded; `until` of the count redrives exactly those.
   */
  redrive(
    queue: string,
    filter: Omit<Input<"queues.redrive">, "queue"> = {},
  ): Promise<Output<"queues.redrive">> {
    return this.#connection.call("queues.redrive", { queue, ...filter });
  }
}
