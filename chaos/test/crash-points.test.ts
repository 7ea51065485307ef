import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type Begin, programOf } from "../crash-points/life.ts";
import { type Place, placeText } from "../crash-points/place.ts";
import { chosen, dealt, placesOf } from "../crash-points/plan.ts";
import { openTally } from "../crash-points/tally.ts";
import type { Trial } from "../crash-points/trial.ts";

const heard: string[] = [];
const server = createServer((request, response) => {
  heard.push(request.url ?? "");
  response.end("{}");
});
const own = `points_${process.pid}`;
const pool = new pg.Pool({ connectionString: inject("adminUrl"), max: 4 });
let folder = "";
let program: Begin;
let base = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tidebase-points-"));
  program = await programOf("trivial-program", folder);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await pool.end();
  await rm(folder, { recursive: true, force: true });
});

/** The calls of the program in their order. */
const callsOf = (name: string) => [
  `database create sequence ${name}`,
  `database select nextval('${name}')`,
  `request GET /${name}/undici`,
  `request GET /${name}/fetch`,
  `request POST /${name}/http`,
];
const CALLS = callsOf("").length;
const REQUESTS = ["undici", "fetch", "http"];

/** How the program ended, and what it has done until then. */
async function tried(name: string, at: Place | undefined) {
  const args = [inject("adminUrl"), name, `${base}/${name}`];
  const { signal, passed, died } = await program(args, at).ended;
  const { rows } = await pool.query("select from pg_sequences where sequencename = $1", [name]);
  await pool.query(`drop sequence if exists ${name}`);
  const requests = heard.filter((path) => path.startsWith(`/${name}/`));
  return { signal, passed, died, made: rows.length, requests };
}

test("a process dies before a call leaves it, or after its answer came, exactly where it is told to; else it counts its calls", async () => {
  const calm = tried(`${own}_calm`, undefined);
  await Promise.all(
    placesOf(CALLS).map(async (at) => {
      const name = `${own}_${at.n}_${at.when}`;
      const done = at.when === "after" ? at.n : at.n - 1;
      const requests = REQUESTS.slice(0, Math.max(0, done - (CALLS - REQUESTS.length)));
      expect(await tried(name, at), placeText(at)).toEqual({
        signal: "SIGKILL",
        passed: undefined,
        died: callsOf(name)[at.n - 1],
        made: done > 0 ? 1 : 0,
        requests: requests.map((one) => `/${name}/${one}`),
      });
    }),
  );
  expect(await calm).toMatchObject({ signal: null, passed: CALLS });
});

test("however few points are tried, each load has its share of them", () => {
  const points = dealt(
    new Map([
      ["a", 5],
      ["b", 2],
    ]),
    (below) => below - 1,
  );
  expect(points.slice(0, 4).map(({ load }) => load)).toEqual(["a", "b", "a", "b"]);
  expect(new Set(points.map(({ load, at }) => `${load} ${placeText(at)}`)).size).toBe(14);
});

test("loads are chosen by name, a sweep without saying that it is one; another name is told with those there are", () => {
  const loads = [{ id: "server" }, { id: "sweep schedules" }];
  expect(chosen(loads, undefined)).toEqual(loads);
  expect(chosen(loads, ["schedules", "server"])).toEqual([loads[1], loads[0]]);
  expect(() => chosen(loads, ["servers"])).toThrow(
    "No load is called servers: server, sweep schedules.",
  );
});

/** A trial at this place of a load whose calm outcome is nothing. */
const trialAt = (n: number, died: string | undefined, problems: readonly string[] = []): Trial => ({
  ...{ at: { n, when: "before" }, died, problems },
  ...{ points: died === undefined ? n - 1 : undefined, recoveryMs: 0, outcome: {} },
});

/** What comes of a load of 50 points whose first `missed` places nobody came to. */
function tallied(missed: number) {
  const tally = openTally(new Map([["a", { points: 50, promises: ["P9"] }]]), []);
  for (let n = 0; n < 60; n++)
    tally.count("a", trialAt(1 + (n % 50), n < missed ? undefined : "database x"), {});
  return tally.result(7);
}

test("places that were never reached stay among those there are, and too many of them are a problem", () => {
  expect(tallied(2)).toMatchObject({
    ...{ tried: 60, promises: { P9: 58 }, problems: [] },
    facts: { a: "58 crashes at 100 places, 2 never reached", places: "58 of 100 crashed at" },
  });
  expect(tallied(3).problems).toEqual([
    "It proves nothing: 3 of the 100 places of a were never reached. (seed 7)",
  ]);
  expect(tallied(60).problems).toHaveLength(2);
});

test("a clean crash counts for the promises of its load alone; behind the known places it is counted apart", () => {
  const loads = { a: ["P1", "P9"], b: ["P9"] };
  const known = Object.entries(loads).map(
    ([load, promises]) => [load, { points: 1, promises }] as const,
  );
  const tally = openTally(new Map(known), []);
  for (const load of ["a", "b"])
    expect(tally.count(load, trialAt(1, "database x"), {})).toBeUndefined();
  expect(tally.count("b", trialAt(2, "database y"), {})).toBeUndefined();
  const wrong = tally.count("a", trialAt(1, "database x", ["C9: a gap"]), {});
  expect(wrong).toBe("a at 1:before (database x): C9: a gap");
  expect(tally.result(7)).toMatchObject({
    promises: { P1: 1, P9: 3 },
    problems: [`${wrong} (seed 7)`],
    facts: { a: "2 crashes at 2 places", b: "1 crashes at 2 places, 1 behind them" },
  });
});
