import { type Message, textsOf } from "./frames.ts";

/** What an answer up to ReadyForQuery ends: a simple query, or all that one Sync closes. */
export interface Request {
  /** The SQL it executes. */
  readonly texts: readonly string[];
  /** Whether something of it is committed when nothing of it fails. */
  readonly commits: boolean;
}

/** A request that has been answered wholly. */
interface Answer {
  readonly request: Request;
  readonly failed: boolean;
}

/** Follows one connection, message by message, in both directions. */
export interface Transactions {
  /** Of a message of the client: the request that it completes. */
  asked(message: Message): Request | undefined;
  /** The request whose answer comes next. */
  readonly current: Request | undefined;
  /** Of a message of Postgres: the answer that it completes. */
  answered(message: Message): Answer | undefined;
}

/** The status byte of ReadyForQuery: outside of a transaction, in one, in a failed one. */
type Status = "I" | "T" | "E";

const FIRST_WORD = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*([a-z]+)/i;

/**
 * Knows which requests commit. What is to come after a request that is still under way is worked out from its SQL; when
 * all have been answered, ReadyForQuery says it for certain. A simple query is split at every semicolon, also within texts:
 * only its words that begin and end transactions matter.
 */
export function followTransactions(): Transactions {
  const statements = new Map<string, string>();
  const portals = new Map<string, string>();
  const underWay: Request[] = [];
  let executed: string[] = [];
  let status: Status = "I";
  let failed = false;

  function request(texts: readonly string[]): Request {
    const foreseen = foresee(status, texts);
    status = foreseen.status;
    const made = { texts, commits: foreseen.commits };
    underWay.push(made);
    return made;
  }

  function asked(message: Message): Request | undefined {
    const [first = "", second = ""] = textsOf(message, 2);
    if (message.type === "P") statements.set(first, second);
    if (message.type === "B") portals.set(first, statements.get(second) ?? "");
    if (message.type === "E") executed.push(portals.get(first) ?? "");
    if (message.type === "Q") return request(first.split(";"));
    if (message.type === "F") return request([]);
    if (message.type !== "S") return undefined;
    const texts = executed;
    executed = [];
    return request(texts);
  }

  function answered({ type, body }: Message): Answer | undefined {
    if (type === "E") failed = true;
    if (type !== "Z") return undefined;
    const answer = { request: underWay.shift() ?? { texts: [], commits: false }, failed };
    failed = false;
    if (underWay.length === 0) status = body.toString("latin1", 0, 1) as Status;
    return answer;
  }

  return {
    asked,
    answered,
    get current() {
      return underWay[0];
    },
  };
}

function foresee(before: Status, texts: readonly string[]): { commits: boolean; status: Status } {
  let [status, commits] = [before, false];
  for (const text of texts) {
    const word = FIRST_WORD.exec(text)?.[1]?.toLowerCase();
    if (word === undefined) continue;
    if (word === "begin" || word === "start") status = "T";
    else if (word === "commit" || word === "end") {
      commits ||= status === "T";
      status = "I";
    } else if (word === "abort" || (word === "rollback" && !/\bto\b/i.test(text))) status = "I";
    else commits ||= status === "I";
  }
  return { commits, status };
}
