import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunOptions } from "@tidebase/sdk";
import type { Order } from "./workflow.ts";

/** What may be said of a report; the rest has a default. */
export interface Wishes {
  readonly issue?: string | undefined;
  readonly out?: string | undefined;
  readonly risk?: string | undefined;
  readonly endpoint?: string | undefined;
}

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/**
 * One run for each report: its name is the run's key, so starting the program again goes on with the
 * run that is there. Throws for a risk that does not exist.
 */
export function orderOf({ issue, out, risk = "normal", endpoint }: Wishes): RunOptions<Order> {
  if (risk !== "normal" && risk !== "high") throw new Error("The risk is normal or high.");
  const input: Order = {
    issue: issue ?? week(new Date()),
    root: ROOT,
    out: resolve(out ?? "tidebase-demo"),
    risk,
    ...(endpoint && { endpoint }),
  };
  return { input, idempotencyKey: `report ${input.issue}`, tags: ["approval"] };
}

const DAY_MS = 86_400_000;

/** The week of ISO 8601, which is the week of its Thursday. */
function week(now: Date): string {
  const day = Math.floor(now.getTime() / DAY_MS);
  const thursday = new Date((day - ((day + 3) % 7) + 3) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const number = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY_MS / 7) + 1;
  return `${year}-W${String(number).padStart(2, "0")}`;
}
