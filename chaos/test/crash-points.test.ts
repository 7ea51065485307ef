import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type Begin, programOf } from "../crash-points/life.ts";
import { type Place, placeText } from "../crash-points/place.ts";
import { chosen, placesOf, shuffled } from "../crash-points/plan.ts";

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
  const dealt = shuffled(
    new Map([
      ["a", 5],
      ["b", 2],
    ]),
    (below) => below - 1,
  );
  expect(dealt.slice(0, 4).map(({ load }) => load)).toEqual(["a", "b", "a", "b"]);
  expect(new Set(dealt.map(({ load, at }) => `${load} ${placeText(at)}`)).size).toBe(14);
});

test("loads are chosen by name, a sweep without saying that it is one; another name is told with those there are", () => {
  const loads = [{ id: "server" }, { id: "sweep schedules" }];
  expect(chosen(loads, undefined)).toEqual(loads);
  expect(chosen(loads, ["schedules", "server"])).toEqual([loads[1], loads[0]]);
  expect(() => chosen(loads, ["servers"])).toThrow(
    "No load is called servers: server, sweep schedules.",
  );
});
