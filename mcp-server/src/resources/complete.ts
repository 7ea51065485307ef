import { type Backend, listVersions } from "@tidebase/core";
import { ask } from "../answers/plain.ts";
import { docPages } from "./docs.ts";
import { inTime } from "./in-time.ts";
import { newestRuns, notableRuns, openGates } from "./notable.ts";

/** The protocol's own limit. */
const VALUES_MAX = 100;
const PAGE = 200;

/** What is being filled in. */
interface Completing {
  /** Of an argument of a prompt or a variable of a template; the same name means the same everywhere. */
  readonly name: string;
  /** What is there so far. */
  readonly value: string;
  /** What has been filled in already, by name. */
  readonly known: Readonly<Record<string, string>>;
  backend(): Promise<Backend>;
  onError?: ((error: unknown) => void) | undefined;
}

/** What could be meant, the likeliest first. */
interface Completion {
  readonly values: string[];
  readonly total: number;
  readonly hasMore: boolean;
}

/** Values that begin with what is there so far; none when the store does not answer within two seconds. */
export async function complete(completing: Completing): Promise<Completion> {
  const { value, onError } = completing;
  const candidates = (await inTime(candidatesFor(completing), onError)) ?? [];
  const found = [...new Set(candidates)].filter((candidate) => candidate.startsWith(value));
  const values = found.slice(0, VALUES_MAX);
  return { values, total: found.length, hasMore: found.length > values.length };
}

async function candidatesFor({ name, known, backend }: Completing): Promise<readonly string[]> {
  switch (name) {
    case "runId":
      return await runIds(await backend());
    case "gateId":
      return (await openGates(await backend(), PAGE)).map(({ gateId }) => gateId);
    case "version":
      return known["runId"] === undefined ? ["latest"] : await versions(await backend(), known);
    case "page":
      return [...(await docPages()).keys()];
    case "window":
      return ["1h", "6h", "24h", "7d"];
    default: // names of streams are the words of others, and numbers are not guessed
      return [];
  }
}

async function runIds(backend: Backend): Promise<string[]> {
  const runs = await Promise.all([notableRuns(backend, PAGE), newestRuns(backend, PAGE)]);
  return runs.flat().map(({ runId }) => runId);
}

async function versions(
  backend: Backend,
  known: Readonly<Record<string, string>>,
): Promise<string[]> {
  const { runId = "", stream } = known;
  const which = { runId, ...(stream === undefined ? {} : { stream }) };
  const found = await ask(backend, listVersions, { ...which, limit: PAGE });
  return ["latest", ...found.versions.map(({ version }) => String(version))];
}
