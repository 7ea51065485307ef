import { TidebaseError } from "@tidebase/core";
import { describeFailure } from "../failure.ts";

export type CheckStatus = "ok" | "warn" | "fail" | "skipped";

/** What a check found; `fix` is null where there is nothing to do. */
export interface Finding {
  readonly check: string;
  readonly status: CheckStatus;
  readonly detail: string;
  readonly fix: string | null;
}

/** What a check says of what it looks at. */
export type Said = Omit<Finding, "check" | "fix"> & { readonly fix?: string };

/** A look at one thing; what it throws is its finding. */
export interface Check<Context> {
  readonly name: string;
  look(context: Context): Said | Promise<Said>;
}

export const ok = (detail: string): Said => ({ status: "ok", detail });
export const warn = (detail: string, fix: string): Said => ({ status: "warn", detail, fix });
export const fail = (detail: string, fix: string): Said => ({ status: "fail", detail, fix });
const skipped = (detail: string, fix: string): Said => ({ status: "skipped", detail, fix });

/** Makes every check, one after the other; one that throws is a failure of its own, and the others go on. */
export async function lookAll<Context>(
  checks: readonly Check<Context>[],
  context: Context,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) findings.push(await lookOnce(check, context));
  return findings;
}

async function lookOnce<Context>(
  { name, look }: Check<Context>,
  context: Context,
): Promise<Finding> {
  try {
    const { status, detail, fix = null } = await look(context);
    return { check: name, status, detail, fix };
  } catch (thrown) {
    return { check: name, ...saidOf(thrown), fix: saidOf(thrown).fix ?? null };
  }
}

/** All of them as not made, for one reason. */
export function skipAll<Context>(
  checks: readonly Check<Context>[],
  detail: string,
  fix: string,
): Finding[] {
  return checks.map(({ name }) => ({ check: name, status: "skipped", detail, fix }));
}

function saidOf(thrown: unknown): Said {
  const postgres = postgresError(thrown);
  if (postgres !== undefined)
    return fail(
      `Postgres refused: ${postgres}.`,
      "Give the user of this connection what it lacks.",
    );
  const { message, fix } = describeFailure(thrown);
  const scope = missingScope(thrown);
  if (scope === undefined) return fail(message, fix);
  return skipped(
    `The API key lacks the scope ${scope}.`,
    `Use a key that has it; \`npx tidebase keys create <name> --scopes ${scope}\` on the server's machine makes one.`,
  );
}

/** What a server's key may not do; undefined where that is not what was thrown. */
export function missingScope(thrown: unknown): string | undefined {
  if (!(thrown instanceof TidebaseError) || thrown.code !== "scope_missing") return undefined;
  return String(thrown.data["scope"]);
}

/** One readable unit: `90 s`, `5 min`, `3 h`, `80 d`. */
export function lasting(ms: number): string {
  const s = Math.round(ms / 1000);
  if (Math.abs(s) < 120) return `${s} s`;
  if (Math.abs(s) < 7200) return `${Math.round(s / 60)} min`;
  return Math.abs(s) < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`;
}

/** Its message, when Postgres itself refused; undefined for all else. */
function postgresError(thrown: unknown): string | undefined {
  const { code, message } = Object(thrown) as { code?: unknown; message?: unknown };
  const refused = typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E");
  return refused ? String(message) : undefined;
}
