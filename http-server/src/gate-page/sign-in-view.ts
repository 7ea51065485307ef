import { html } from "hono/html";
import type { Html } from "./layout.ts";

/** How to become known here: by a one-time link, its token, or a key. `gateId` is where to go on. */
export function signInView(gateId: string | undefined): Html {
  const back = gateId !== undefined && html`<input type="hidden" name="gate" value="${gateId}">`;
  const open = `npx tidebase gates open ${gateId ?? "<id>"}`;
  return html`<form id="by-link" data-way hidden method="post" action="/gates/session">
<section><h2>You came by a one-time link</h2>
<p>Sign in to decide in this browser for the next twelve hours. The link works once.</p>
${back}<input type="hidden" name="link" value="">
<button class="main">Sign in</button></section>
</form>
<section id="sign-in" data-way><h2>Sign in to decide</h2>
<p>Open a one-time link: the server shows one in its own terminal, and at a terminal of its machine <code>${open}</code> prints one. Signed in already and came from another site? <a href="${gateId === undefined ? "/gates" : `/gates/${gateId}`}">Show the page again.</a></p>
<details><summary>Paste a link, or use an API key</summary>
<form method="post" action="/gates/session">${back}
<div class="field"><label for="link">One-time link</label><input id="link" name="link" autocomplete="off" spellcheck="false"></div>
<button>Sign in with the link</button>
</form>
<form method="post" action="/gates/session">${back}
<div class="field"><label for="key">API key with the scope <code>approve</code></label><input id="key" name="key" type="password" autocomplete="off"></div>
<button>Sign in with the key</button>
</form></details>
</section>`;
}
