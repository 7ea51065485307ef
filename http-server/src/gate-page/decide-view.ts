import type { AnswerSchema, Gate } from "@tidebase/core";
import { html } from "hono/html";
import { answerFields, type Sent } from "./form.ts";
import type { Html } from "./layout.ts";
import { csrfOf, type PageSession } from "./session.ts";

type Decision = "approved" | "rejected";

/** A one-time code, shown once. */
export interface ShownCode {
  readonly code: string;
  readonly decision: Decision;
}

/** What a reader of the page may do, and what they did before this page. */
export interface Controls {
  readonly session?: PageSession | undefined;
  /** What was sent with a form that was refused and can be corrected. */
  readonly sent?: Sent | undefined;
  readonly code?: ShownCode | undefined;
}

/** Approve, reject, or ask for a code: for somebody who is signed in. */
export function decideView(gate: Gate, { session, sent }: Controls): Html {
  const { gateId, digest, required } = gate;
  return html`<section data-way id="decide"><h2>Your decision</h2>
<form method="post" action="/gates/${gateId}/decide">${NO_ENTER}
<input type="hidden" name="csrf" value="${csrfOf(session?.secret ?? "", gateId)}"><input type="hidden" name="digest" value="${digest}">
${answerFields(schemaOf(gate), "decide", sent)}
${noteField("decide-note", sent)}
<div class="row"><button class="approve" name="decision" value="approved">Approve</button>
<button class="reject" name="decision" value="rejected" formnovalidate>Reject</button></div>
${required !== "signed_in" && codeButtons(gateId)}
</form></section>`;
}

function codeButtons(gateId: string): Html {
  const path = `/gates/${gateId}/code`;
  return html`<details><summary>Decide elsewhere, with a one-time code</summary>
<p>Give the code to whoever asks you for it. It works once, for ten minutes, for this decision as you have filled it in above.</p>
<div class="row"><button formaction="${path}" name="decision" value="approved">Show a code to approve</button>
<button formaction="${path}" name="decision" value="rejected" formnovalidate>Show a code to reject</button></div></details>`;
}

/** The code itself: in this one answer, nowhere else. */
export function codeView({ code, decision }: ShownCode): Html {
  return html`<section class="once" role="status"><h2>Code to ${decision === "approved" ? "approve" : "reject"}</h2>
<p class="code">${code}</p>
<p>Shown this once; good for ten minutes. An older code of yours for this is void.</p></section>`;
}

/**
 * Decides by the token of a channel's message, which names the decision: exactly one button. The script
 * shows the form that fits; without scripts the token can be pasted.
 */
export function tokenView(gate: Gate, { sent }: Controls): Html {
  const again = sent?.has("token") === true ? sent : undefined;
  const decision = again?.get("decision");
  return html`${(["approved", "rejected"] as const).map((one) => {
    const shows = decision === one;
    return html`<form id="by-token-${one}" data-way${!shows && html` hidden`} method="post" action="/gates/${gate.gateId}/redeem">
<section><h2>A message asked you to decide</h2>
<input type="hidden" name="token" value="${shows ? (again?.get("token") ?? "") : ""}">
${tokenFields(gate, one, `by-token-${one}`, shows ? again : undefined)}</section></form>`;
  })}
<noscript>${(["approved", "rejected"] as const).map(
    (one) => html`<form method="post" action="/gates/${gate.gateId}/redeem">
<section><details><summary>A message gave you a token to ${one === "approved" ? "approve" : "reject"}</summary>
<div class="field"><label for="token-${one}">Token</label><input id="token-${one}" name="token" required autocomplete="off" spellcheck="false"></div>
${tokenFields(gate, one, `token-${one}`)}</details></section></form>`,
  )}</noscript>`;
}

function tokenFields(gate: Gate, decision: Decision, form: string, sent?: Sent): Html {
  const approves = decision === "approved";
  return html`<input type="hidden" name="digest" value="${gate.digest}"><input type="hidden" name="decision" value="${decision}">${NO_ENTER}
${approves && answerFields(schemaOf(gate), form, sent)}
${noteField(`${form}-note`, sent)}
<button class="decide ${approves ? "approve" : "reject"}">${approves ? "Approve" : "Reject"}</button>`;
}

/** The Enter key presses a form's first button: this one, which does nothing. */
const NO_ENTER = html`<button disabled hidden></button>`;

function noteField(id: string, sent: Sent | undefined): Html {
  return html`<div class="field"><label for="${id}">Note <small>optional; kept with the decision</small></label>
<textarea id="${id}" name="note" rows="2" maxlength="2000">
${sent?.get("note") ?? ""}</textarea></div>`;
}

function schemaOf({ answerSchema }: Gate): AnswerSchema | null {
  return answerSchema === null ? null : (JSON.parse(answerSchema.text) as AnswerSchema);
}
