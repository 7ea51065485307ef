import { closeSync, openSync, writeSync } from "node:fs";
import { ERRORS } from "@tidebase/core";
import { now, type Op } from "./evidence.ts";

/** A call as it is about to be made. */
export interface Called {
  /** The operation or SDK verb, such as `step` or `gates.resolve`. */
  readonly f: string;
  readonly key: string;
  /** What is asked, as far as the checks read it. */
  readonly value?: unknown;
}

/** Writes down what one process asks and hears under one workload. */
export interface Recorder {
  /**
   * Makes the call once and records both ends: `ok` with what it returned (let that be plain data), `fail` when the
   * server refused it, `info` when its answer was lost. Throws what the call threw.
   */
  watched<T>(called: Called, call: () => Promise<T>): Promise<T>;
  /** The same, but undefined instead of an error. */
  recorded<T>(called: Called, call: () => Promise<T>): Promise<T | undefined>;
  /** Writes an `invoke` down; the result writes its end. For calls that are no single promise. */
  invoked(called: Called): (type: Exclude<Op["type"], "invoke">, value?: unknown) => void;
}

/** The log of a process. */
export interface Log {
  /** The recorder of one of its workloads. */
  of(workload: string): Recorder;
  close(): void;
}

/**
 * Opens the log of a process; every line has left the process when the call returns, so that no kill loses one that
 * something else has seen. `proc` is its name with its incarnation.
 */
export function openLog(file: string, proc: string): Log {
  const descriptor = openSync(file, "a");
  let calls = 0;
  const write = (op: Op): void => void writeSync(descriptor, `${lineOf(op)}\n`);

  function of(workload: string): Recorder {
    const invoked: Recorder["invoked"] = ({ f, key, value }) => {
      const call = `${proc}:${calls++}`;
      const about = { proc, workload, f, key, call };
      write({ at: now(), ...about, type: "invoke", ...(value !== undefined && { value }) });
      return (type, said) =>
        write({ at: now(), ...about, type, ...(said !== undefined && { value: said }) });
    };
    const watched: Recorder["watched"] = async (called, call) => {
      const end = invoked(called);
      try {
        const answer = await call();
        end("ok", answer);
        return answer;
      } catch (error) {
        end(isRefusal(error) ? "fail" : "info", describe(error));
        throw error;
      }
    };
    const recorded: Recorder["recorded"] = (called, call) =>
      watched(called, call).catch(() => undefined);
    return { invoked, watched, recorded };
  }
  return { of, close: () => closeSync(descriptor) };
}

/** Codes by which the server says that it does not know, or that it had no time. */
const UNCERTAIN = new Set(["outcome_unknown", "request_timeout"]);

/**
 * Whether the server has refused the call for certain: a problem of its own below 500. An answer that was lost, a
 * client that gave up, and everything else leave open whether it happened.
 */
export function isRefusal(error: unknown): boolean {
  const code = codeOf(error);
  if (code === undefined || UNCERTAIN.has(code) || !Object.hasOwn(ERRORS, code)) return false;
  return ERRORS[code as keyof typeof ERRORS].status < 500;
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code: unknown = Reflect.get(error, "code");
  return typeof code === "string" ? code : undefined;
}

/** An error as the end of an operation records it. */
export function describe(error: unknown): { code: string | null; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  return { code: codeOf(error) ?? null, message: message.slice(0, 300) };
}

/** What cannot be written as JSON is left out: the op itself must not be. */
function lineOf(op: Op): string {
  try {
    return JSON.stringify(op);
  } catch {
    const { value: _, ...rest } = op;
    return JSON.stringify(rest);
  }
}
