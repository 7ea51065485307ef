import type { Evidence, Row } from "../history/evidence.ts";
import { type Call, calls } from "./calls.ts";
import type { Check, Violation } from "./check.ts";
import { bare, count, deletedRuns, grouped, list, member, parsed, rows, text } from "./rows.ts";

const ID = "C11";

/** A stream of a run's state, version by version. */
interface Stream {
  readonly run: string;
  readonly name: string;
  readonly versions: readonly Row[];
}

/**
 * State loses nothing. Clients append numbers, each once, to a list in the state; so what each version holds must be the
 * one before it and one number more, and the last of them all that was acknowledged. (The idea of appending to lists is
 * Elle's, Kingsbury and Alvaro 2020.)
 */
export const state: Check = {
  id: ID,
  promises: ["P13"],
  rule: "Versions are 1..n; lists that clients append to agree in their prefixes, and have every acknowledged number once.",
  find(evidence) {
    const streams = streamsOf(evidence);
    return [
      ...streams.flatMap((stream) => numbered(evidence, stream)),
      ...appended(evidence, streams),
    ];
  },
};

function streamsOf(evidence: Evidence): readonly Stream[] {
  const byStream = grouped(
    rows(evidence, "versions"),
    (row) => `${bare(row["run_id"])} ${text(row["stream"])}`,
  );
  return [...byStream].map(([key, all]) => {
    const [run = ""] = key.split(" ", 1);
    const versions = all.toSorted((a, b) => Number(a["version"]) - Number(b["version"]));
    return { run, name: key.slice(run.length + 1), versions };
  });
}

function numbered(evidence: Evidence, { run, name, versions }: Stream): Violation[] {
  const gap = versions.findIndex((row, i) => Number(row["version"]) !== i + 1);
  const counter = rows(evidence, "streams").find(
    (row) => bare(row["run_id"]) === run && row["stream"] === name,
  );
  const last = count(counter?.["version"]) ?? 0;
  const told = versions.map((row) => text(row["version"])).join(", ");
  const message = `Stream ${name} of run ${run} has counted ${last}, and has versions ${told}.`;
  return gap < 0 && last === versions.length ? [] : [{ check: ID, key: run, message }];
}

/** The list in each version: the document itself, or the first of its members that is one. */
function listsOf({ versions }: Stream): readonly (readonly unknown[])[] {
  let document: unknown;
  return versions.map((row) => {
    const body = parsed(row["body"]);
    document = row["kind"] === "set" ? body : merged(document, body);
    const inner = Object.values((document ?? {}) as object).find(Array.isArray);
    return Array.isArray(document) ? document : list(inner);
  });
}

/** RFC 7386. */
function merged(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === "object" && !Array.isArray(target) ? target : {};
  const result = new Map<string, unknown>(Object.entries(base ?? {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, merged(result.get(name), value));
  }
  return Object.fromEntries(result);
}

function appended(evidence: Evidence, streams: readonly Stream[]): Violation[] {
  const deleted = deletedRuns(evidence);
  const appends = grouped(calls(evidence, "state.append"), ({ key }) => bare(key));
  const reads = grouped(calls(evidence, "state.read"), ({ key }) => bare(key));
  return [...appends].flatMap(([run, all]) => {
    if (deleted.has(run)) return [];
    const lists = streams.filter((stream) => stream.run === run).flatMap(listsOf);
    const last = lists.at(-1) ?? [];
    const found = [
      ...forked(lists),
      ...repeated(last),
      ...lost(all, last),
      ...invented(all, last),
      ...misread(all, reads.get(run) ?? [], last),
    ];
    return found.map((message) => ({ check: ID, key: run, message: `Run ${run}: ${message}` }));
  });
}

/** Each list begins with the whole of the one before it. */
function forked(lists: readonly (readonly unknown[])[]): string[] {
  return lists.flatMap((one, i) => {
    const before = lists[i - 1] ?? [];
    const isPrefix = before.every((value, n) => one[n] === value);
    return isPrefix ? [] : [`version ${i + 1}, [${one}], does not begin with [${before}].`];
  });
}

function repeated(last: readonly unknown[]): string[] {
  const twice = last.filter((value, i) => last.indexOf(value) !== i);
  return twice.map((value) => `${String(value)} is in the list twice.`);
}

/** The number of an append: what was sent, or what came back. */
function numberOf({ asked, got }: Call): unknown {
  return typeof asked === "number" ? asked : got;
}

function lost(all: readonly Call[], last: readonly unknown[]): string[] {
  const acknowledged = all.filter(({ type }) => type === "ok").map(numberOf);
  const missing = [...new Set(acknowledged)].filter((value) => !last.includes(value));
  return missing.map((value) => `${String(value)} was acknowledged, and is lost.`);
}

/** What is in the list was appended by a call that was not refused. */
function invented(all: readonly Call[], last: readonly unknown[]): string[] {
  const possible = new Set(all.filter(({ type }) => type !== "fail").map(numberOf));
  const strange = last.filter((value) => !possible.has(value));
  return strange.map(
    (value) => `${String(value)} is in the list, though no call has put it there.`,
  );
}

/** A read is a prefix of the list as it became, with all that had been acknowledged before it began. */
function misread(all: readonly Call[], reads: readonly Call[], last: readonly unknown[]): string[] {
  return reads.flatMap(({ type, from, got }) => {
    const read = Array.isArray(got) ? got : list(member(got, "list"));
    if (type !== "ok") return [];
    if (!read.every((value, i) => last[i] === value))
      return [`[${read}] was read, which is no prefix of [${last}].`];
    const before = all.filter((call) => call.type === "ok" && call.to < from).map(numberOf);
    const missing = before.find((value) => !read.includes(value));
    return missing === undefined
      ? []
      : [`a read came after ${String(missing)}, and did not see it.`];
  });
}
