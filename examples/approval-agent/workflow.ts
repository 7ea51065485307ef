import { createHash } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { GateDecision, Run } from "@tidebase/sdk";
import { type Post, send } from "./mail.ts";
import { composeReport, readSources } from "./report.ts";

/** What one report is made from, and how much care its sending takes. */
export interface Order {
  /** The report's own name, such as 2026-W47. */
  readonly issue: string;
  /** The repository that is read. */
  readonly root: string;
  /** The report goes into a folder here that has the run's id for a name. */
  readonly out: string;
  /** `high` makes a form in an assistant not enough: a one-time code is asked for. */
  readonly risk: "normal" | "high";
  /** Where it is sent; without one, into the folder `outbox`. */
  readonly endpoint?: string;
}

/** How it ended. What was not approved is not sent. */
export interface Outcome {
  readonly status: "sent" | "rejected" | "expired";
  readonly decidedBy: string | null;
  readonly note: string | null;
  /** Whom it went to, and where. */
  readonly to?: string;
  readonly sentTo?: string;
}

/** What the human chooses. */
interface Choice {
  readonly audience: keyof typeof AUDIENCES;
  readonly comment?: string;
}

interface Report {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly excerpt: string;
}

/** The name under which the workflow is registered. */
export const WORKFLOW = "approved-report";

const AUDIENCES = { team: "team@example.com", everyone: "everyone@example.com" } as const;
const EXCERPT_LINES = 3;

const ANSWER = {
  type: "object",
  properties: {
    audience: { type: "string", title: "Send it to", enum: Object.keys(AUDIENCES) },
    comment: { type: "string", title: "A line above the report", maxLength: 200 },
  },
  required: ["audience"],
} as const;

/** Writes a report, asks a human whether it may be sent and to whom, and does as it is told. */
export async function approvedReport(run: Run<Order>): Promise<Outcome> {
  const { issue, root, out, risk, endpoint } = run.input;
  const folder = join(out, run.runId);
  const sources = await run.step("read sources", () => readSources(root));
  const report = await run.step("write report", () =>
    write(join(folder, "report.md"), composeReport(issue, sources)),
  );

  const subject = `Project report ${issue}`;
  const { bytes, sha256, excerpt } = report;
  const decision = await run.gate("send report", {
    prompt: `May "${subject}" be sent?`,
    data: { to: AUDIENCES, subject, bytes, sha256, excerpt },
    answerSchema: ANSWER,
    capability: { name: "mail", scopes: ["send"], reason: "The report leaves this machine." },
    risk,
  });
  if (!decision.approved) return giveUp(run, decision);

  const { audience, comment } = decision.answer as Choice;
  const to = AUDIENCES[audience];
  const key = `${run.runId}:send report`;
  const post: Post = { outbox: join(folder, "outbox"), ...(endpoint && { endpoint }) };
  const sentTo = await run.step(
    "send report",
    { sideEffects: [`mails the report to ${to}`], idempotencyKey: key },
    async ({ signal }) => {
      const text = [...(comment ? [comment, ""] : []), await approvedText(report)].join("\n");
      return send({ to, subject, text }, key, post, signal);
    },
  );
  await run.state.patch({ phase: "sent", to });
  return { status: "sent", ...who(decision), to, sentTo };
}

/** Whole or not at all, however often. */
async function write(path: string, text: string): Promise<Report> {
  const draft = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(draft, text);
  await rename(draft, path);
  const excerpt = text.split("\n").slice(0, EXCERPT_LINES).join("\n");
  return { path, bytes: Buffer.byteLength(text), sha256: hash(text), excerpt };
}

/** The approval is for these bytes: whatever the file has become since, nothing else is sent. */
async function approvedText({ path, sha256 }: Report): Promise<string> {
  const text = await readFile(path, "utf8");
  if (hash(text) === sha256) return text;
  throw new Error(`${path} is not the report that was approved.`);
}

/** The rejection is the result of the run, and in its state for whoever looks at it. */
async function giveUp(run: Run<Order>, decision: GateDecision): Promise<Outcome> {
  const status = decision.status === "expired" ? "expired" : "rejected";
  await run.state.patch({ phase: status, ...who(decision) });
  return { status, ...who(decision) };
}

function who({ decidedBy, note }: GateDecision): Pick<Outcome, "decidedBy" | "note"> {
  return { decidedBy, note };
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
