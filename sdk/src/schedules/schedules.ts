import type { WorkflowName } from "../client.ts";
import type { Connection } from "../connection.ts";
import { newSignalKey } from "../ids.ts";
import type { Operations } from "../operations.gen.ts";
import { type CreateOptions, contentOf, nameOf } from "../runs/runs.ts";

type Input<Name extends keyof Operations> = Operations[Name]["input"];
type Output<Name extends keyof Operations> = Operations[Name]["output"];

/** A schedule: what it says, its next five fires and its last one. */
export type Schedule = Output<"schedules.put">["schedule"];

/** What a schedule says: when it fires, and what it queues then. */
export interface ScheduleOptions<Value = unknown>
  extends Pick<CreateOptions<Value>, "input" | "tags" | "metadata" | "deadline">,
    Pick<
      Input<"schedules.put">,
      "timezone" | "queue" | "priority" | "maxAttempts" | "catchUp" | "overlap" | "paused"
    > {
  /** Five fields, six with the seconds first, or a nickname such as `@daily`. */
  readonly cron: string;
}

/** How a schedule is triggered. */
export interface TriggerOptions {
  /** The same key triggers once. Default: a new one for every call. */
  readonly idempotencyKey?: string;
}

/** Queues runs when it is time for them. */
export class Schedules {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /**
   * Makes a schedule, or makes the one of that name say this; the same again changes nothing. Throws
   * `cron_invalid`, `schedule_contradiction`.
   */
  async put<Value = unknown>(
    name: string,
    workflow: WorkflowName<Value>,
    options: ScheduleOptions<NoInfer<Value>>,
  ): Promise<Output<"schedules.put">> {
    const { input: _, deadline: __, ...rest } = options;
    const content = contentOf(nameOf(workflow), options);
    return this.#connection.call("schedules.put", { name, ...rest, ...content });
  }

  /** With the input that its runs are given. Throws `schedule_not_found`, as all that follow. */
  async get(name: string): Promise<Output<"schedules.get">["schedule"]> {
    return (await this.#connection.call("schedules.get", { name })).schedule;
  }

  /** A page of schedules, newest first. */
  list(page: Input<"schedules.list"> = {}): Promise<Output<"schedules.list">> {
    return this.#connection.call("schedules.list", page);
  }

  /** A page of what it has fired and skipped, the latest first. */
  fires(
    name: string,
    page: Omit<Input<"schedules.fires">, "name"> = {},
  ): Promise<Output<"schedules.fires">> {
    return this.#connection.call("schedules.fires", { name, ...page });
  }

  /** From now on it does not fire. */
  pause(name: string): Promise<Schedule> {
    return this.#setPaused(name, true);
  }

  /** It fires again, from now on: what would have fired meanwhile is not made up for. */
  resume(name: string): Promise<Schedule> {
    return this.#setPaused(name, false);
  }

  /** Makes one run of it now, paused or not. */
  trigger(
    name: string,
    { idempotencyKey = newSignalKey() }: TriggerOptions = {},
  ): Promise<Output<"schedules.trigger">> {
    return this.#connection.call("schedules.trigger", { name, idempotencyKey });
  }

  /** Its history goes with it; its runs stay and go on. */
  async delete(name: string): Promise<void> {
    await this.#connection.call("schedules.delete", { name });
  }

  async #setPaused(name: string, paused: boolean): Promise<Schedule> {
    return (await this.#connection.call("schedules.update", { name, paused })).schedule;
  }
}
