import type { AnyOperation } from "@tidebase/core";
import fc from "fast-check";
import { sendCase, type Target } from "./attack.ts";
import { type Case, casesOf, type Known, shapeOf } from "./cases.ts";
import { atRest, changedTables, changesOf, type Fingerprint } from "./fingerprint.ts";
import type { Shape } from "./from-schema.ts";
import { goodInput } from "./good-input.ts";
import { callOf } from "./http-call.ts";
import { type KnownSource, knownFrom } from "./known.ts";
import type { McpClient } from "./mcp-client.ts";
import type { Ledger, Row } from "./rows.ts";
import { argumentsOf, goodArguments, isAdmitted, type Tool } from "./tools.ts";

/** What can refuse a call: an operation or a tool. */
export interface Refusing {
  readonly name: string;
  readonly shape: Shape;
  readonly reads: boolean;
  readonly known: KnownSource;
  send(one: Case, good: Known): Promise<{ readonly refused: boolean; readonly shown: string }>;
}

/** An operation over HTTP. */
export function refusingOperation(operation: AnyOperation, target: Target): Refusing {
  const { name, input, effect } = operation;
  return {
    ...{ name, shape: shapeOf(input), reads: effect === "read" },
    known: knownFrom(() => goodInput(target.execute, operation, target)),
    async send(one, good) {
      const { status } = await sendCase(operation, target, one, good);
      const { method, path, body } = callOf(operation, one, good);
      return { refused: status >= 400, shown: `${status} to ${method} ${path} ${body ?? ""}` };
    },
  };
}

/** A tool over the client's way. */
export function refusingTool(tool: Tool, client: McpClient, target: Target): Refusing {
  const { name, input, annotations } = tool;
  return {
    ...{ name, shape: shapeOf(input), reads: annotations.readOnlyHint === true },
    known: knownFrom(() => goodArguments(target.execute, tool, target.webhookUrl)),
    async send(one, good) {
      const given = argumentsOf(one, good);
      const answer = await client.ask("tools/call", { name, arguments: given });
      return { refused: !isAdmitted(answer), shown: `an error to ${JSON.stringify(given)}` };
    },
  };
}

/** Refused calls of one operation or tool, and what they did to the store. */
export interface Untouched {
  readonly refused: number;
  readonly problems: readonly string[];
  /** Changes that did not happen again: something else wrote meanwhile. */
  readonly unrepeated: number;
}

/**
 * Sends cases one by one and looks at the whole store around every refused one: nothing may change. What
 * changed is sent again on a store at rest before it counts, since a sweep may have written meanwhile.
 */
export async function untouched(
  refusing: Refusing,
  look: () => Promise<Fingerprint>,
  { cases, seed }: { readonly cases: number; readonly seed: number },
): Promise<Untouched> {
  const { name, known, shape, reads } = refusing;
  const problems: string[] = [];
  let [refused, unrepeated] = [0, 0];
  let before: Fingerprint | undefined;
  let about: Known | undefined;
  for (const one of fc.sample(casesOf(shape), { seed, numRuns: cases })) {
    const good = await known.get();
    if (good !== about) before = undefined; // runs were made meanwhile
    about = good;
    before ??= await look();
    const answer = await refusing.send(one, good);
    if (!answer.refused) {
      before = undefined;
      if (!reads) known.renew();
      continue;
    }
    refused += 1;
    const after = await look();
    const changed = changedTables(before, after);
    before = changed.length === 0 ? after : undefined;
    if (changed.length === 0) continue;
    const again = await changedAgain(refusing, one, look);
    if (again === undefined) unrepeated += 1;
    else
      problems.push(
        `${name} changed ${again.join(", ")} and answered ${answer.shown.slice(0, 600)}`,
      );
  }
  return { refused, problems: problems.slice(0, 2), unrepeated };
}

async function changedAgain(
  { known, send }: Refusing,
  one: Case,
  look: () => Promise<Fingerprint>,
): Promise<string[] | undefined> {
  let changed: string[] = [];
  for (let round = 0; round < 2; round++) {
    known.renew();
    const good = await known.get();
    const before = await atRest(look);
    const { refused } = await send(one, good);
    if (!refused) return undefined;
    changed = changedTables(before, await look());
    if (changed.length === 0) return undefined;
  }
  return changed;
}

/** Where the refused are noted and the store is looked at. */
export interface Watched {
  readonly ledger: Ledger;
  look(): Promise<Fingerprint>;
}

/** Does what is refused as a whole; that nothing changes by it is a case of the row. */
export async function unchanged(
  { ledger, look }: Watched,
  row: Row,
  what: string,
  act: () => Promise<void>,
): Promise<void> {
  const changed = await changesOf(look, act);
  const wrong = changed.length === 0 ? undefined : `${what} changed ${changed.join(", ")}`;
  ledger.tried(row, wrong);
}
