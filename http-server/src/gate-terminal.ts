import {
  type Actor,
  asksForAnswer,
  type Core,
  type Gate,
  type GateSummary,
  getGate,
  issueCode,
  linkSession,
  listGates,
  SCOPES,
  TidebaseError,
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
  /** Told once when the store cannot be asked; it is asked again and again. */
  readonly onLost: (error: unknown) => void;
  /** 2,000 ms by default: gates are opened by other processes too. */
  readonly pollMs?: number;
}

const PAGE = 200;
const POLL_MS = 2000;
/** So many questions at once can be read; of more, the terminal tells the number. */
const SHOWN_MAX = 20;

/**
 * Shows each gate opened from now on with its one-time codes and a one-time link to its page: the way to
 * a human that no agent reads. Answers the function that ends it.
 */
export async function openGateTerminal(options: GateTerminalOptions): Promise<() => void> {
  const { core, user, write, onLost, pollMs = POLL_MS } = options;
  const actor: Actor = { name: user, scopes: SCOPES, via: "tty" };
  const look = watching(core, actor);
  const before = await look(async () => {});
  if (before > 0) write(`${before} open from before: \`npx tidebase gates list\` shows them.\n\n`);
  let timer: NodeJS.Timeout | undefined;
  let [ended, lost] = [false, false];
  const announce = async (gate: GateSummary, place: number) => {
    if (place <= SHOWN_MAX) write(await announcement(options, actor, gate));
  };
  const round = async () => {
    try {
      const unshown = (await look(announce)) - SHOWN_MAX;
      if (unshown > 0) write(`And ${unshown} more: \`npx tidebase gates list\` shows them.\n\n`);
      lost = false;
    } catch (error) {
      if (!lost) onLost(error);
      lost = true;
    }
    if (!ended) timer = setTimeout(() => void round(), pollMs);
  };
  timer = setTimeout(() => void round(), pollMs);
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

type Announce = (gate: GateSummary, place: number) => Promise<void>;

/**
 * Tells of open gates it has not told of, and answers how many. It goes on at the last page, where the
 * newest are; a gate counts as told when that did not fail.
 */
function watching(core: Core, actor: Actor): (announce: Announce) => Promise<number> {
  let cursor: string | undefined;
  let told = new Set<string>();
  return async (announce) => {
    let count = 0;
    for (;;) {
      const page = await core.execute(listGates, { limit: PAGE, cursor }, actor);
      for (const gate of page.gates) {
        if (told.has(mark(gate))) continue;
        await announce(gate, ++count);
        told.add(mark(gate));
      }
      if (page.nextCursor === null) {
        told = new Set(page.gates.map(mark));
        return count;
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
  { gateId }: GateSummary,
): Promise<string> {
  const { gate } = await core.execute(getGate, { gateId }, actor);
  const { workflow, name, key, risk, prompt, data } = gate;
  const what = shownInLine(key === "" ? name : `${name} · ${key}`, 80);
  const lines = [
    `Gate ${what} of workflow ${shownInLine(workflow, 80)}, ${risk} risk:`,
    shownInLine(prompt, 400),
    ...(data === null ? [] : [`  data     ${shownInLine(data.text, 400)}`]),
  ];
  try {
    lines.push(...(await codesOf(core, actor, gate)));
    const { token } = await core.execute(linkSession, {}, actor);
    lines.push(`  page     ${url}/gates/${gateId}#link=${token}`);
    lines.push(`Each works once, for ten minutes; again: tidebase gates open ${gateId}`);
  } catch (error) {
    if (!isMoved(error)) throw error;
    lines.push("  decided or changed meanwhile");
  }
  return `${lines.join("\n")}\n\n`;
}

/** Codes for the question as it is shown; what has to be answered, or takes somebody signed in, is for the page. */
async function codesOf(core: Core, actor: Actor, gate: Gate): Promise<string[]> {
  const { gateId, digest, required } = gate;
  if (required === "signed_in") return [];
  const codeFor = async (decision: "approved" | "rejected") =>
    (await core.execute(issueCode, { gateId, decision, digest }, actor)).code;
  const approve = asksForAnswer(gate) ? "on the page, with an answer" : await codeFor("approved");
  return [`  approve  ${approve}`, `  reject   ${await codeFor("rejected")}`];
}

/** The gate is not what was read a moment ago. */
function isMoved(error: unknown): boolean {
  const code: unknown = error instanceof TidebaseError ? error.code : undefined;
  return code === "gate_already_resolved" || code === "gate_changed" || code === "gate_expired";
}
