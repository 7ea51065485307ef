import { asksForEncryption, backendMessages, frontendMessages, joined } from "./frames.ts";
import { httpRequests } from "./http-requests.ts";
import { followTransactions, type Request } from "./transactions.ts";

/** What is to be lost on a link, and what has been. */
export interface Losses {
  /** The answer of each so-manieth request; 0: none. */
  every: number;
  /** Requests since then. */
  requests: number;
  lost: number;
  /** Whether notifications are dropped. */
  deaf: boolean;
  unheard: number;
}

/** Reads one connection along, and keeps back what is to be lost. */
export interface Ear {
  /** Of what goes to the server. */
  asked(chunk: Buffer): void;
  /** What may go on of what the server sent; undefined: it is lost, with the connection. */
  answered(chunk: Buffer): Buffer | undefined;
}

/**
 * Keeps the answer back until ReadyForQuery: only then has it been committed. An answer that tells a failure is none of
 * a commit, and passes.
 */
export function postgresEar(losses: Losses): Ear {
  const transactions = followTransactions();
  const chosen = new Set<Request>();
  const withheld: Buffer[] = [];
  let passing: Buffer[] = [];
  let encryptionAsked = false;
  let isLost = false;

  const read = frontendMessages((message) => {
    encryptionAsked ||= asksForEncryption(message);
    const request = transactions.asked(message);
    if (request?.commits === true && isChosen(losses)) chosen.add(request);
  });

  const hear = backendMessages(
    (message) => {
      if (message.type === "") encryptionAsked = false;
      if (message.type === "A" && losses.deaf) {
        losses.unheard += 1;
        return;
      }
      const isKept = transactions.current !== undefined && chosen.has(transactions.current);
      (isKept ? withheld : passing).push(message.bytes);
      const answer = transactions.answered(message);
      if (!isKept || answer === undefined) return;
      chosen.delete(answer.request);
      if (answer.failed || losses.every === 0) passing.push(...withheld.splice(0));
      else isLost = true;
    },
    () => encryptionAsked,
  );

  return {
    asked: read,
    answered(chunk) {
      hear(chunk);
      const going = joined(passing);
      passing = [];
      if (!isLost) return going;
      losses.lost += 1;
      return undefined;
    },
  };
}

/** Clients of HTTP send the next request when the answer before has come: what arrives belongs to the last one. */
export function httpEar(losses: Losses): Ear {
  let isKept = false;
  return {
    asked: httpRequests(({ method }) => {
      if (method !== "GET" && isChosen(losses)) isKept = true;
    }),
    answered(chunk) {
      if (!isKept || losses.every === 0) {
        isKept = false; // healed in between
        return chunk;
      }
      losses.lost += 1;
      return undefined;
    },
  };
}

function isChosen(losses: Losses): boolean {
  if (losses.every === 0) return false;
  losses.requests += 1;
  return losses.requests % losses.every === 0;
}
