import { randomBytes } from "node:crypto";
import { html, raw } from "hono/html";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

/** Text that is safe as HTML: every value put into it was escaped. */
export type Html = ReturnType<typeof html>;

/** What to tell the human before anything else. */
export interface Notice {
  readonly title: string;
  readonly detail: string;
  readonly problems?: readonly string[];
}

/** One page. */
export interface Page {
  readonly title: string;
  readonly main?: Html;
  /** Who is signed in. */
  readonly name?: string | undefined;
  readonly notice?: Notice | undefined;
  readonly status?: number;
}

/**
 * A whole page. It loads nothing, runs only its own script, stands in no frame, is kept nowhere, and
 * tells no other site where its reader came from.
 */
export async function pageResponse({
  title,
  main,
  name,
  notice,
  status = 200,
}: Page): Promise<Response> {
  const nonce = randomBytes(16).toString("base64");
  const text = await html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · Tidebase</title>
<style nonce="${nonce}">${raw(STYLE)}</style>
</head>
<body>
<header><a href="/gates">Tidebase</a>${name !== undefined && signedInAs(name)}</header>
<main>
${notice !== undefined && noticeBox(notice)}
${main}
</main>
<script nonce="${nonce}">${raw(SCRIPT)}</script>
</body>
</html>
`;
  return new Response(String(text), { status, headers: headersOf(nonce) });
}

function signedInAs(name: string): Html {
  return html`<span>Signed in as ${name}</span><form method="post" action="/gates/session/end"><button>Sign out</button></form>`;
}

function headersOf(nonce: string): Record<string, string> {
  return {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
    "cache-control": "no-store",
    // Not `no-referrer`: with it browsers send `Origin: null` with a form, and the guard could not tell it from a stranger's.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
  };
}

function noticeBox({ title, detail, problems = [] }: Notice): Html {
  return html`<section class="notice" role="alert"><h2>${title}</h2><p>${detail}</p>
${problems.length > 0 && html`<ul>${problems.map((problem) => html`<li>${problem}</li>`)}</ul>`}</section>`;
}
