import {
  AllowListError,
  ASSURANCES,
  type Assurance,
  type CoreOptions,
  readAllowList,
  StoreError,
} from "@tidebase/core";
import { wordList } from "./options.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What the environment says about a store of one's own, as a server of the same store reads it. Throws
 * StoreError for a value that cannot be meant so.
 */
export function storeSettings(env: Environment): Pick<CoreOptions, "limits" | "webhooks"> {
  return { limits: { gateFloor: gateFloor(env) }, webhooks: { allow: webhookAllow(env) } };
}

/** An empty variable is a setting that did not arrive. */
export function setting(env: Environment, name: string): string | undefined {
  const value = env[name];
  if (value !== undefined && value.trim() === "")
    throw new StoreError("variable_empty", {
      message: `${name} is set, but empty.`,
      fix: `Give ${name} a value, or unset it.`,
    });
  return value;
}

function gateFloor(env: Environment): Assurance | undefined {
  const value = setting(env, "TIDEBASE_GATE_FLOOR");
  const floor = ASSURANCES.find((level) => level === value);
  if (value === undefined || floor !== undefined) return floor;
  throw new StoreError("variable_invalid", {
    message: `TIDEBASE_GATE_FLOOR is ${JSON.stringify(value)}.`,
    fix: `Set it to one of ${ASSURANCES.join(", ")}, or unset it.`,
  });
}

function webhookAllow(env: Environment): string[] {
  const entries = wordList(setting(env, "TIDEBASE_WEBHOOK_ALLOW") ?? "");
  try {
    readAllowList(entries);
    return entries;
  } catch (cause) {
    if (!(cause instanceof AllowListError)) throw cause;
    throw new StoreError("variable_invalid", {
      message: cause.message,
      fix: "Correct the entry, or unset TIDEBASE_WEBHOOK_ALLOW.",
      cause,
    });
  }
}
