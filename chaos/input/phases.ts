import { operations } from "@tidebase/core";
import { attackAll } from "./attack.ts";
import type { InputWorld } from "./input-world.ts";
import type { McpClient } from "./mcp-client.ts";
import type { Ledger } from "./rows.ts";
import { callTool, TOOLS } from "./tools.ts";
import { type Refusing, refusingOperation, refusingTool, untouched } from "./untouched.ts";

/** How many cases each gets, and when no more begin. */
interface Limits {
  readonly cases: number;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** What one operation or tool answered. */
interface Answered {
  readonly tried: number;
  readonly admitted: number;
  readonly refused: number;
  readonly problem?: string;
}

/** Sums over operations or tools. */
export interface Sums {
  tried: number;
  admitted: number;
  refused: number;
  fewest: { readonly cases: number; readonly name: string };
}

/** So many cases that one at least has to be good. */
const ENOUGH = 60;
/** However late it is, so many of each are looked at. */
const FEW = 3;
/** So many in a hundred refused calls may be followed by a change that does not happen again. */
const UNREPEATED_PERCENT = 5;

/** Looks at the store around refused calls of every operation and of every tool, one after the other. */
export async function watchRefusals(world: InputWorld, { cases, until }: Limits) {
  const { target, look, problems, overStdio } = world;
  const sums = { refused: 0, unrepeated: 0 };
  const all: Refusing[] = [
    ...operations.map((operation) => refusingOperation(operation, target)),
    ...TOOLS.map((tool) => refusingTool(tool, overStdio, target)),
  ];
  for (const refusing of all) {
    const few = Date.now() > until ? FEW : cases;
    const seen = await untouched(refusing, look, { cases: few, seed: target.seed });
    sums.refused += seen.refused;
    sums.unrepeated += seen.unrepeated;
    problems.push(...seen.problems);
  }
  if (sums.unrepeated * 100 > sums.refused * UNREPEATED_PERCENT)
    problems.push(
      `Something else wrote around ${sums.unrepeated} of ${sums.refused} refused calls: too many to tell.`,
    );
  return sums;
}

/** Sends generated cases to every operation over HTTP. */
export async function attackOperations(world: InputWorld, limits: Limits): Promise<Sums> {
  const sums = nothing();
  await attackAll(world.target, limits, ({ name }, attacked) => {
    add(sums, name, attacked);
    const problem = problemOf(name, attacked);
    if (problem !== undefined) world.problems.push(problem);
  });
  return sums;
}

/** Sends generated arguments to every tool, over standard input and over HTTP. */
export async function attackTools(world: InputWorld, { cases, until }: Limits): Promise<Sums> {
  const sums = nothing();
  const ways: [string, McpClient][] = [
    ["over stdio", world.overStdio],
    ["over HTTP", world.overHttp],
  ];
  await Promise.all(
    ways.map(async ([way, client]) => {
      for (const [n, tool] of TOOLS.entries()) {
        const ms = Math.max((until - Date.now()) / (TOOLS.length - n), 300);
        const called = await callTool(tool, client, { ...world.target, cases, ms });
        const name = `${tool.name} ${way}`;
        add(sums, name, called);
        world.ledger.tried("B23", problemOf(name, called));
        for (let tried = 1; tried < called.tried; tried++) world.ledger.tried("B23");
      }
    }),
  );
  return sums;
}

/** The fewest cases that one of them got, and which. */
export const fewestOf = ({ fewest }: Sums): string => `${fewest.cases} (${fewest.name})`;

/** What a round that should be full has left out: rows, and cases of an operation or a tool. */
export function leftOut(ledger: Ledger, cases: number, sums: readonly Sums[]): string[] {
  const short = sums.filter(({ fewest }) => fewest.cases < cases);
  return [
    ...ledger.untried().map((row) => `${row} was not tried.`),
    ...short.map((one) => `Not every one got ${cases} cases: ${fewestOf(one)}.`),
  ];
}

function problemOf(name: string, { problem, tried, admitted }: Answered): string | undefined {
  if (problem !== undefined) return `${name}: ${problem}`;
  return admitted === 0 && tried > ENOUGH
    ? `${name} admitted none of ${tried} cases: they are not good enough.`
    : undefined;
}

function nothing(): Sums {
  const fewest = { cases: Number.POSITIVE_INFINITY, name: "none" };
  return { tried: 0, admitted: 0, refused: 0, fewest };
}

function add(sums: Sums, name: string, { tried, admitted, refused }: Answered): void {
  sums.tried += tried;
  sums.admitted += admitted;
  sums.refused += refused;
  if (tried < sums.fewest.cases) sums.fewest = { cases: tried, name };
}
