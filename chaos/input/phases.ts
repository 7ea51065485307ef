import { operations } from "@tidebase/core";
import { attackAll, untouched } from "./attack.ts";
import type { InputWorld } from "./input-world.ts";
import type { McpClient } from "./mcp-client.ts";
import { callTool, TOOLS } from "./tools.ts";

/** How many cases each gets, and when no more begin. */
interface Limits {
  readonly cases: number;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Sums over operations or tools. */
interface Sums {
  tried: number;
  admitted: number;
  refused: number;
}

/** A good call of theirs needs what only a human has seen: a code, or a run that ended under its worker. */
const RARELY_ADMITTED = ["gates.redeem"];
const ENOUGH = 60;

/** Looks at the store around refused calls of every operation, one operation after the other. */
export async function watchRefusals(world: InputWorld, { cases, until }: Limits) {
  const { target, look, problems } = world;
  const sums = { refused: 0, unrepeated: 0 };
  for (const operation of operations) {
    const few = Date.now() > until ? 3 : cases;
    const seen = await untouched(operation, target, look, few);
    sums.refused += seen.refused;
    sums.unrepeated += seen.unrepeated;
    problems.push(...seen.problems);
  }
  return sums;
}

/** Sends generated cases to every operation over HTTP. */
export async function attackOperations(world: InputWorld, limits: Limits): Promise<Sums> {
  const sums = { tried: 0, admitted: 0, refused: 0 };
  await attackAll(world.target, limits, ({ name }, attacked) => {
    add(sums, attacked);
    if (attacked.problem !== undefined) world.problems.push(attacked.problem);
    else if (attacked.admitted === 0 && attacked.tried > ENOUGH && !RARELY_ADMITTED.includes(name))
      world.problems.push(
        `${name} admitted none of ${attacked.tried} cases: they are not good enough.`,
      );
  });
  return sums;
}

/** Sends generated arguments to every tool, over standard input and over HTTP. */
export async function attackTools(world: InputWorld, { cases, until }: Limits): Promise<Sums> {
  const sums = { tried: 0, admitted: 0, refused: 0 };
  const ways: [string, McpClient][] = [
    ["over stdio", world.overStdio],
    ["over HTTP", world.overHttp],
  ];
  await Promise.all(
    ways.map(async ([way, client]) => {
      for (const [n, tool] of TOOLS.entries()) {
        const ms = Math.max((until - Date.now()) / (TOOLS.length - n), 300);
        const called = await callTool(tool, client, { ...world.target, cases, ms });
        add(sums, called);
        if (called.problem !== undefined) world.problems.push(`${way}: ${called.problem}`);
        for (let tried = 0; tried < called.tried; tried++) world.ledger.tried("B23");
      }
    }),
  );
  return sums;
}

function add(sums: Sums, { tried, admitted, refused }: Sums): void {
  sums.tried += tried;
  sums.admitted += admitted;
  sums.refused += refused;
}
