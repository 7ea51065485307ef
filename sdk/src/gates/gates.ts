import { inputHash } from "../encoding/input-hash.ts";
import { isTidebaseError, TidebaseError } from "../errors.ts";
import { fenced } from "../leases/fenced.ts";
import type { Operations } from "../operations.gen.ts";
import { called } from "../steps/refusals.ts";
import { unheard } from "../unheard.ts";
import type { Waiting } from "../waits/waiting.ts";
import type { OnWait } from "../waits/waits.ts";
import { type Question, question } from "./question.ts";

/** A gate with its decision, if there is one. */
export type Gate = Operations["gates.get"]["output"]["gate"];

/** What is asked, and how the run waits for it. */
export interface GateOptions extends Question {
  readonly onWait?: OnWait;
}

/** How a gate was decided. Whatever is not an approval counts as none. */
export interface GateDecision<Answer = unknown> {
  readonly approved: boolean;
  readonly status: "approved" | "rejected" | "expired";
  /** The filled-in form, as JSON; null without one. */
  readonly answer: Answer;
  readonly note: string | null;
  readonly decidedBy: string | null;
  readonly decidedAt: string | null;
  readonly assurance: Gate["assurance"];
  /** How the decider was known. */
  readonly via: string | null;
  readonly gateId: string;
}

const GATE_ID = /^gate_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Gates for code that cannot wait. Their names are their own, apart from those of steps. */
export interface Gates {
  /**
   * Opens the gate, or finds it with its decision, and does not wait. An open gate that asks
   * something else by now becomes its next revision. Throws `gate_mismatch` when it was decided on
   * other content, `gate_not_json`.
   */
  open(name: string, options: Question): Promise<Gate>;
  /** A gate of this run by name and key, or any by its id; undefined where there is none. */
  get(nameOrId: string, key?: string): Promise<Gate | undefined>;
}

/** The gates of one attempt. */
export class AttemptGates implements Gates {
  readonly #waiting: Waiting;
  /** Hash of what this attempt has asked, by name and key. */
  readonly #asked = new Map<string, string>();
  readonly #ids = new Map<string, string>();

  constructor(waiting: Waiting) {
    this.#waiting = waiting;
  }

  open(name: string, options: Question): Promise<Gate> {
    const { activity } = this.#waiting;
    const asked = this.#ask(name, options);
    return unheard(activity.during(() => this.#open(asked)));
  }

  get(nameOrId: string, key = ""): Promise<Gate | undefined> {
    const { activity } = this.#waiting;
    const found = activity.during(async () => {
      const isId = key === "" && GATE_ID.test(nameOrId);
      const gateId = isId ? nameOrId : await this.#idOf(nameOrId, key);
      return gateId === undefined ? undefined : this.#get(gateId);
    });
    return unheard(found);
  }

  /** `run.gate`: opens and waits. Once it is decided, no replay waits again. */
  async decided<Answer>(
    name: string,
    { onWait, ...options }: GateOptions,
  ): Promise<GateDecision<Answer>> {
    const { activity, waits } = this.#waiting;
    const asked = this.#ask(name, options);
    const first = await activity.during(() => this.#open(asked));
    const found = decisionOf<Answer>(first);
    if (found !== undefined) return found;
    const { gateId } = first;
    const says = `gate ${called({ name, key: asked.key ?? "" })} (${gateId})`;
    return waits.until({ gate: gateId, says }, onWait, async () => {
      const value = decisionOf<Answer>(await this.#open(asked));
      return value === undefined ? { leftMs: undefined } : { value };
    });
  }

  /** Two questions under one identity would share one decision, which nobody may have meant. */
  #ask(name: string, options: Question): Asked {
    const asked = { ...question(name, options), name };
    const identity = identityOf(name, asked.key);
    const hash = inputHash(asked);
    const before = this.#asked.get(identity);
    if (before !== undefined && before !== hash)
      throw new TidebaseError(
        "gate_mismatch",
        `Gate ${called({ name, key: asked.key ?? "" })} was asked twice in one attempt, with different content. Give each its own key.`,
        { name, key: asked.key },
      );
    this.#asked.set(identity, hash);
    return asked;
  }

  /** The server says `gate_mismatch` rather than give a decision on anything else. */
  async #open(asked: Asked): Promise<Gate> {
    const { connection, held } = this.#waiting;
    const { gate } = await fenced(connection, held, "gates.open", { ...held.lease, ...asked });
    this.#ids.set(identityOf(gate.name, gate.key), gate.gateId);
    return gate;
  }

  async #get(gateId: string): Promise<Gate | undefined> {
    try {
      return (await this.#waiting.connection.call("gates.get", { gateId })).gate;
    } catch (error) {
      if (isTidebaseError(error, "gate_not_found")) return undefined;
      throw error;
    }
  }

  /** One that this attempt has not opened is asked for; a run has one at most of a name and key. */
  async #idOf(name: string, key: string): Promise<string | undefined> {
    const { connection, held } = this.#waiting;
    const known = this.#ids.get(identityOf(name, key));
    if (known !== undefined) return known;
    const { runId } = held.lease;
    const { gates } = await connection.call("gates.list", { runId, name, key, status: "any" });
    return gates[0]?.gateId;
  }
}

type Asked = ReturnType<typeof question> & { readonly name: string };

function identityOf(name: string, key = ""): string {
  return `${name}\u0000${key}`;
}

function decisionOf<Answer>(gate: Gate): GateDecision<Answer> | undefined {
  const { status, note, decidedBy, decidedAt, assurance, via, gateId } = gate;
  if (status === "open" || status === "closed") return undefined;
  const approved = status === "approved";
  const answer = gate.answer as Answer;
  return { approved, status, answer, note, decidedBy, decidedAt, assurance, via, gateId };
}
