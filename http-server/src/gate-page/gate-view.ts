import { type Gate, visible } from "@tidebase/core";
import { html } from "hono/html";
import { type Controls, codeView, decideView, tokenView } from "./decide-view.ts";
import type { Html } from "./layout.ts";
import { shownInLine, shownJson } from "./shown.ts";
import { signInView } from "./sign-in-view.ts";

const REQUIRED = {
  client_form: "a confirmed form, or anything surer",
  code: "a one-time code, or somebody signed in",
  signed_in: "somebody signed in",
};

/** One gate: the question, and its decision or the ways to make it. */
export function gateView(gate: Gate, controls: Controls): Html {
  const open = gate.status === "open";
  return html`${controls.code !== undefined && codeView(controls.code)}
<section>
<div class="tags"><span class="tag ${gate.status}">${gate.status}</span><span class="tag ${gate.risk}">${gate.risk} risk</span></div>
<h1>${visible(gate.prompt)}</h1>
<dl>${facts(gate)}</dl>
</section>
${gate.data !== null && html`<section><h2 id="data">What it is about</h2><pre tabindex="0" role="region" aria-labelledby="data">${shownJson(gate.data.text)}</pre></section>`}
${!open && decisionView(gate)}
${open && (controls.session === undefined ? html`${tokenView(gate, controls)}${signInView(gate.gateId)}` : decideView(gate, controls))}`;
}

function facts(gate: Gate): Html[] {
  const { workflow, runId, name, key, openedBy, openedAt, expiresAt, required } = gate;
  const capability = gate.capability === null ? undefined : parsed<Capability>(gate.capability);
  const approvers = gate.approvers === null ? undefined : parsed<string[]>(gate.approvers);
  const votes = `${gate.votes} of ${gate.approvals}`;
  return [
    fact(
      "Asked by",
      html`<bdi>${visible(openedBy)}</bdi>, in workflow <bdi>${visible(workflow)}</bdi>`,
    ),
    fact("Run", html`<code>${runId}</code>`),
    fact("Gate", shownInLine(key === "" ? name : `${name} · ${key}`, 450)),
    fact("Opened", time(openedAt)),
    expiresAt !== null &&
      fact("Expires", html`${time(expiresAt)}; undecided by then it is not approved`),
    capability !== undefined && fact("Would allow", capabilityText(capability)),
    fact("Asks for", REQUIRED[required]),
    approvers !== undefined && fact("Approvers", approvers.map(visible).join(", ")),
    gate.approvals > 1 && fact("Approvals", votes),
    fact(
      "Digest",
      html`<code title="${gate.digest}">${gate.digest.slice(0, 15)}</code>${gate.revision > 1 && `, revision ${gate.revision}`}`,
    ),
  ].filter((line) => line !== false);
}

interface Capability {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly reason: string;
}

function capabilityText({ name, scopes, reason }: Capability): string {
  const what =
    scopes.length === 0 ? visible(name) : `${visible(name)} (${scopes.map(visible).join(", ")})`;
  return reason === "" ? what : `${what}: ${visible(reason)}`;
}

function decisionView(gate: Gate): Html {
  const { status, decidedBy, decidedAt, via, assurance, note, answer } = gate;
  const titles: Readonly<Record<string, string>> = {
    approved: "Approved",
    rejected: "Rejected",
    expired: "Expired: nobody decided in time, so it is not approved",
    closed: "Closed: its run has ended undecided",
  };
  const hasAnswer = answer !== null && answer.text !== "null";
  return html`<section class="decision ${status}"><h2>${titles[status]}</h2><dl>
${decidedBy !== null && fact("By", html`<bdi>${visible(decidedBy)}</bdi>${via !== null && `, via ${visible(via)}`}${assurance !== null && ` (${assurance.replace("_", " ")})`}`)}
${decidedAt !== null && fact("When", time(decidedAt))}
${note !== null && fact("Note", visible(note))}
</dl>${hasAnswer && html`<pre tabindex="0" role="region" aria-label="Answer">${shownJson(answer.text)}</pre>`}</section>`;
}

function fact(term: string, detail: unknown): Html {
  return html`<dt>${term}</dt><dd>${detail}</dd>`;
}

/** A time as the reader's mind has it, and as it is. */
export function time(iso: string): Html {
  const exact = `${iso.slice(0, 16).replace("T", " ")} UTC`;
  return html`<time datetime="${iso}">${ago(Date.parse(iso) - Date.now())}</time> (${exact})`;
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

function ago(ms: number): string {
  const unit = UNITS.find(([, length]) => Math.abs(ms) >= length);
  return unit === undefined ? "just now" : words.format(Math.round(ms / unit[1]), unit[0]);
}

function parsed<Value>({ text }: { readonly text: string }): Value {
  return JSON.parse(text) as Value;
}
