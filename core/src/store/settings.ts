import { ASSURANCES, type Assurance } from "../gates/schema.ts";
import { RETENTION_DAYS_MAX } from "../retention/days.ts";
import { AllowListError, readAllowList } from "../webhooks/address.ts";
import { StoreError } from "./error.ts";
import { checkVariable, type Environment } from "./variables.ts";

/** What every program that opens the same store has to be told alike. */
export interface StoreSettings {
  /** TIDEBASE_GATE_FLOOR: the least that any gate asks for; the store's own rule when undefined. */
  readonly gateFloor: Assurance | undefined;
  /** TIDEBASE_WEBHOOK_ALLOW: where webhooks may go besides the public internet. */
  readonly webhookAllow: readonly string[];
  /** TIDEBASE_PUBLIC_URL: where humans reach the server, as scheme and host without a path. */
  readonly publicUrl: string | undefined;
  /** TIDEBASE_RETENTION_DAYS: how long the store keeps what has ended; undefined leaves it as the store says. */
  readonly retentionDays: number | undefined;
}

/**
 * Reads the settings of a store. Throws StoreError: `variable_empty` and `variable_unexpanded` for a
 * value that did not arrive, `variable_invalid` for one that cannot be meant so.
 */
export function readStoreSettings(env: Environment): StoreSettings {
  return {
    gateFloor: gateFloorOf(given(env, "TIDEBASE_GATE_FLOOR")),
    webhookAllow: webhookAllowOf(given(env, "TIDEBASE_WEBHOOK_ALLOW")),
    publicUrl: publicUrlOf(given(env, "TIDEBASE_PUBLIC_URL")),
    retentionDays: retentionDaysOf(given(env, "TIDEBASE_RETENTION_DAYS")),
  };
}

function given(env: Environment, name: string): string | undefined {
  checkVariable(name, env[name]);
  return env[name];
}

function gateFloorOf(text: string | undefined): Assurance | undefined {
  const floor = ASSURANCES.find((level) => level === text);
  if (text === undefined || floor !== undefined) return floor;
  throw new StoreError("variable_invalid", {
    message: `TIDEBASE_GATE_FLOOR is ${JSON.stringify(text)}: no level that a gate can ask for.`,
    fix: `Set it to one of ${ASSURANCES.join(", ")}, or unset it.`,
  });
}

function webhookAllowOf(text = ""): readonly string[] {
  const entries = text.split(",").map((entry) => entry.trim());
  const allow = entries.filter((entry) => entry !== "");
  try {
    readAllowList(allow);
    return allow;
  } catch (cause) {
    if (!(cause instanceof AllowListError)) throw cause;
    throw new StoreError("variable_invalid", {
      message: cause.message,
      fix: "Correct the entry, or unset TIDEBASE_WEBHOOK_ALLOW.",
      cause,
    });
  }
}

function retentionDaysOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const days = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (days <= RETENTION_DAYS_MAX) return days;
  throw new StoreError("variable_invalid", {
    message: `TIDEBASE_RETENTION_DAYS is ${JSON.stringify(text)}: no number of days.`,
    fix: `Set it to a whole number from 0 (keep for ever) to ${RETENTION_DAYS_MAX}, or unset it.`,
  });
}

/** Never shows the value: somebody may have put a password into it. */
function publicUrlOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`)
    return url.origin;
  throw new StoreError("variable_invalid", {
    message: "TIDEBASE_PUBLIC_URL is no http or https URL of a host alone.",
    fix: "Write it like https://tide.example, without a path, a query or credentials.",
  });
}
