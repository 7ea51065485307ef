import { z } from "zod";
import { call, prompt, UNTRUSTED } from "./prompt.ts";

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const Window = z
  .string()
  .regex(/^[1-9]\d{0,2}[mhd]$/, "must be a number and m, h or d, such as 24h")
  .default("24h")
  .describe("How far back to look, such as 24h or 7d; default 24h.");

export const triage = prompt({
  name: "triage",
  title: "Triage",
  description: "Groups what failed, stands still or waits for you by cause, the most urgent first.",
  given: z.strictObject({ window: Window }),
  needs: ["tidebase_overview", "tidebase_list_runs", "tidebase_get_run"],
  text({ window }) {
    const unit = UNITS[window.slice(-1) as keyof typeof UNITS];
    const since = new Date(Date.now() - Number.parseInt(window, 10) * unit).toISOString();
    const failed = { status: ["failed", "interrupted"], since };
    return `Tell me what needs attention in Tidebase, of the last ${JSON.stringify(window)}. Change nothing.

1. ${call("tidebase_overview", {})}: what is stalled, failed, late, or waits for a human.
2. ${call("tidebase_list_runs", failed)}, all pages.
3. Group the runs by cause: workflow, failureClass and error. Read one run of each group with tidebase_get_run, and say whether its verdict holds for the group.
4. Answer with a table: cause, how many runs, the newest id, safe to rerun or not, the next action. Open gates first, with their age. Then queues and schedules in trouble.
5. End with what you would do first, and ask. Apply nothing.

${UNTRUSTED}`;
  },
});
