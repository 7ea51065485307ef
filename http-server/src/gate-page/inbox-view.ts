import type { GateSummary } from "@tidebase/core";
import { html } from "hono/html";
import { time } from "./gate-view.ts";
import type { Html } from "./layout.ts";
import { shownInLine } from "./shown.ts";

/** The open gates, oldest first. */
export function inboxView(gates: readonly GateSummary[], nextCursor: string | null): Html {
  if (gates.length === 0)
    return html`<section><h1>Nothing waits for a decision</h1><p>Open gates of all runs are listed here, the oldest first.</p></section>`;
  return html`<h1>Waiting for a decision</h1>
<ul class="inbox">${gates.map(line)}</ul>
${nextCursor !== null && html`<p><a href="/gates?cursor=${encodeURIComponent(nextCursor)}" rel="next">Later ones</a></p>`}`;
}

function line({
  gateId,
  prompt,
  risk,
  workflow,
  name,
  votes,
  approvals,
  openedAt,
}: GateSummary): Html {
  return html`<li><a class="card" href="/gates/${gateId}"><strong>${shownInLine(prompt, 240)}</strong>
<span class="tags"><span class="tag ${risk}">${risk} risk</span><span class="tag">${shownInLine(workflow, 60)} · ${shownInLine(name, 60)}</span>
${approvals > 1 && html`<span class="tag">${votes} of ${approvals} approvals</span>`}<span class="tag">${time(openedAt)}</span></span></a></li>`;
}
