import {
  ASSURANCES,
  type Assurance,
  type Environment,
  type FoundStore,
  StoreError,
} from "@tidebase/core";

/** TIDEBASE_GATE_FLOOR: the least that any gate asks for. Throws `variable_invalid` for another word. */
export function gateFloorOf(env: Environment): Assurance | undefined {
  const given = env["TIDEBASE_GATE_FLOOR"];
  if (given === undefined) return undefined;
  const floor = ASSURANCES.find((level) => level === given);
  if (floor !== undefined) return floor;
  throw new StoreError("variable_invalid", {
    message: "TIDEBASE_GATE_FLOOR is none of the levels that a gate can ask for.",
    fix: `Set it to ${ASSURANCES.join(", ")}, or unset it.`,
  });
}

/**
 * Where a human finds the gates' pages: the remote store itself, else TIDEBASE_PUBLIC_URL. Undefined
 * when that is no address of the web; holds no user, password or parameters.
 */
export function pageBaseOf(found: FoundStore, env: Environment): string | undefined {
  const given = found.kind === "remote" ? found.url : env["TIDEBASE_PUBLIC_URL"];
  if (given === undefined || !URL.canParse(given)) return undefined;
  const { protocol, host, pathname } = new URL(given);
  if (protocol !== "https:" && protocol !== "http:") return undefined;
  return `${protocol}//${host}${pathname.replace(/\/+$/, "")}`;
}
