import {
  type Actor,
  type Core,
  type Gate,
  getGate,
  listGates,
  resolveGate,
  TidebaseError,
  toJson,
} from "@tidebase/core";

/** A decision as a rule gives it. */
export interface GateAnswer {
  readonly decision: "approved" | "rejected";
  readonly answer?: unknown;
  readonly note?: string | undefined;
}

/** A gate as JSON shows it. */
export type ShownGate = Readonly<Record<string, unknown>> & {
  readonly gateId: string;
  readonly name: string;
};

/** Looks at an open gate; undefined leaves it to another rule, or open. */
export type GateRule = (
  gate: ShownGate,
) => GateAnswer | undefined | Promise<GateAnswer | undefined>;

/** Decides gates by rules, as somebody does who is signed in to the gate page. */
export interface GateAnswers {
  /** Core, with every gate that is opened by it shown to the rules. */
  readonly core: Core;
  /** Gates that are open are shown to it as well. The result takes the rule out again. */
  add(rule: GateRule): () => void;
  /** Waits for the decisions under way. Throws the first failure of a rule or a decision, once. */
  settle(): Promise<void>;
}

const PAGE = 200;

/** The decider holds no run and opened no gate: what it says is judged by core like any decision. */
const decider = (name: string): Actor => ({ name, scopes: ["read", "approve"], via: "page" });

/** No gate is answered until there is a rule. */
export function answerGates(opened: Core): GateAnswers {
  const rules: GateRule[] = [];
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];

  function begin(work: Promise<void>): void {
    const ended = work.catch((error: unknown) => void failures.push(error));
    underWay.add(ended);
    void ended.finally(() => underWay.delete(ended));
  }

  function show(gate: Gate): void {
    begin(decide(opened, rules, gate));
  }

  async function showOpen(): Promise<void> {
    const reader = decider("test");
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const input = { limit: PAGE, ...(cursor !== undefined && { cursor }) };
      const page = await opened.execute(listGates, input, reader);
      for (const { gateId } of page.gates)
        show((await opened.execute(getGate, { gateId }, reader)).gate);
      cursor = page.nextCursor;
    }
  }

  const execute: Core["execute"] = async (operation, ...rest) => {
    const answer = await opened.execute(operation, ...rest);
    if (operation.name === "gates.open" && rules.length > 0) show((answer as { gate: Gate }).gate);
    return answer;
  };

  return {
    core: { ...opened, execute },
    add(rule) {
      rules.push(rule);
      begin(showOpen());
      return () => {
        const index = rules.indexOf(rule);
        if (index >= 0) rules.splice(index, 1);
      };
    },
    async settle() {
      while (underWay.size > 0) await Promise.all(underWay);
      if (failures.length > 0) throw failures.splice(0)[0];
    },
  };
}

/** By as many people as the gate asks for; nobody decides what was decided meanwhile. */
async function decide(core: Core, rules: readonly GateRule[], asked: Gate): Promise<void> {
  let gate = asked;
  if (gate.status !== "open") return;
  const said = await answerOf(rules, gate);
  if (said === undefined) return;
  for (const name of decidersOf(gate)) {
    if (gate.status !== "open") return;
    const { gateId, digest } = gate;
    const decided = core.execute(resolveGate, { gateId, digest, ...said }, decider(name));
    gate = (await decided.catch((error: unknown) => refused(gate, error))).gate;
  }
}

function refused({ name }: Gate, cause: unknown): never {
  const problems = cause instanceof TidebaseError ? (cause.data["problems"] ?? []) : [];
  const why = [cause instanceof Error ? cause.message : cause, ...(problems as string[])].join(" ");
  throw new Error(`A test's answer to gate "${name}" was refused: ${why}`, { cause });
}

async function answerOf(rules: readonly GateRule[], gate: Gate): Promise<GateAnswer | undefined> {
  const shown = JSON.parse(toJson(gate)) as ShownGate;
  for (const rule of rules) {
    const said = await rule(shown);
    if (said !== undefined) return said;
  }
  return undefined;
}

/** Its approvers, or as many names as it needs. */
function decidersOf(gate: Gate): string[] {
  const { approvers } = JSON.parse(toJson(gate)) as { approvers: string[] | null };
  if (approvers !== null) return approvers;
  return Array.from({ length: gate.approvals }, (_, n) => (n === 0 ? "test" : `test ${n + 1}`));
}
