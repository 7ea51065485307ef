import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { serve } from "@hono/node-server";
import { isTidebaseError, Tidebase } from "@tidebase/sdk";
import { orderOf, type Wishes } from "./order.ts";
import { approvedReport, WORKFLOW } from "./workflow.ts";

const { values } = parseArgs({
  options: { port: { type: "string" }, out: { type: "string" }, endpoint: { type: "string" } },
});

const tide = new Tidebase();
const workflow = tide.workflow(WORKFLOW, approvedReport);
/** Throws when the secret is missing: without one nobody could tell who sends. */
const webhook = tide.webhook({ secret: process.env["TIDEBASE_WEBHOOK_SECRET"] ?? "" });

/** Creates the run of a report, and works on it until it waits or has ended. */
async function order(request: Request): Promise<Response> {
  const { issue, risk } = (await request.json()) as Pick<Wishes, "issue" | "risk">;
  const options = orderOf({ ...values, issue, risk });
  const { runId } = await tide.runs.create(WORKFLOW, options);
  workflow.run({ runId }).catch((error: unknown) => {
    if (!isTidebaseError(error, "run_suspended", "run_leased")) console.error(error);
  });
  return Response.json({ runId }, { status: 202 });
}

/** `POST /reports` starts one; `POST /tide` is where Tidebase says that a run can go on. */
async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/tide") return webhook(request);
  if (pathname !== "/reports" || request.method !== "POST")
    return new Response("POST /reports\n", { status: 404 });
  try {
    return await order(request);
  } catch (error) {
    return new Response(`${error instanceof Error ? error.message : error}\n`, { status: 400 });
  }
}

const hostname = "127.0.0.1";
const server = serve(
  { fetch: answer, hostname, port: Number(values.port ?? 8787) },
  ({ port }: AddressInfo) =>
    console.log(`Reports are ordered at http://${hostname}:${port}/reports`),
);
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    server.close();
    void tide.close();
  });
