import {
  type Actor,
  type Core,
  type GateSummary,
  issueCode,
  linkSession,
  listGates,
  SCOPES,
  type TidebaseError,
} from "@tidebase/core";
import { shownInLine } from "./gate-page/shown.ts";

/** What the terminal of the server shows of gates, and to whom. */
export interface GateTerminalOptions {
  readonly core: Core;
  /** The base of the pages' links. */
  readonly url: string;
  /** The human at the terminal. */
  readonly user: string;
  /** Writes to the terminal itself: what is shown is for human eyes, never for a log, pipe or file. */
  readonly write: (text: string) => void;
  /** Told when the store could not be asked; it is asked again. */
  readonly onLost: (error: unknown) => void;
  /** 2,000 ms by default: gates are opened by other processes too. */
  readonly pollMs?: number;
}

const PAGE = 200;
const POLL_MS = 2000;

/**
 * Shows each gate opened from now on with its one-time codes and a one-time link to its page: the way to
 * a human that no agent reads. Answers the function that ends it.
 */
export async function openGateTerminal(options: GateTerminalOptions): Promise<() => void> {
  const { core, user, write, onLost, pollMs = POLL_MS } = options;
  const actor: Actor = { name: user, scopes: SCOPES, via: "tty" };
  const newcomers = watching(core, actor);
  const before = await newcomers();
  if (before.length > 0)
    write(`${before.length} open from before: \`tidebase gates\` lists them.\n\n`);
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const look = async () => {
    try {
      for (const gate of await newcomers()) write(await announcement(options, actor, gate));
    } catch (error) {
      onLost(error);
    }
    if (!ended) timer = setTimeout(() => void look(), pollMs);
  };
  timer = setTimeout(() => void look(), pollMs);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** Open gates not answered before. It goes on at the last page, where the newest are. */
function watching(core: Core, actor: Actor): () => Promise<GateSummary[]> {
  let cursor: string | undefined;
  let seen = new Set<string>();
  return async () => {
    const fresh: GateSummary[] = [];
    for (;;) {
      const page = await core.execute(listGates, { limit: PAGE, cursor }, actor);
      fresh.push(...page.gates.filter((gate) => !seen.has(mark(gate))));
      if (page.nextCursor === null) {
        seen = new Set(page.gates.map(mark));
        return fresh;
      }
      cursor = page.nextCursor;
    }
  };
}

/** A revision is opened anew, and what was issued for the one before is void. */
function mark({ gateId, openedAt }: GateSummary): string {
  return `${gateId} ${openedAt}`;
}

async function announcement(
  { core, url }: GateTerminalOptions,
  actor: Actor,
  { gateId, prompt, workflow, name, key, risk, required }: GateSummary,
): Promise<string> {
  const gate = key === "" ? name : `${name} · ${key}`;
  const lines = [
    `Gate ${shownInLine(gate, 80)} of workflow ${shownInLine(workflow, 80)}, ${risk} risk:`,
    shownInLine(prompt, 400),
  ];
  try {
    if (required !== "signed_in") {
      const approve = await core.execute(issueCode, { gateId, decision: "approved" }, actor);
      const reject = await core.execute(issueCode, { gateId, decision: "rejected" }, actor);
      lines.push(`  approve  ${approve.code}`, `  reject   ${reject.code}`);
    }
    const { token } = await core.execute(linkSession, {}, actor);
    lines.push(`  page     ${url}/gates/${gateId}#link=${token}`);
    lines.push(`Each works once, for ten minutes; again: tidebase gates open ${gateId}`);
  } catch (error) {
    if ((error as TidebaseError).code !== "gate_already_resolved") throw error;
    lines.push("  decided meanwhile");
  }
  return `${lines.join("\n")}\n\n`;
}
