/** The page's only style: plain, readable on a phone, light or dark as the reader has it. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f8; --card: #fff; --ink: #17212b; --soft: #566370; --line: #dde2e7;
  --tide: #0b6b83; --yes: #18794e; --no: #b42318; --warn: #8a5a00; --well: #f1f4f6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10161b; --card: #182027; --ink: #e6edf2; --soft: #9aa8b4; --line: #2c3842;
    --tide: #5cc3dc; --yes: #4cc38a; --no: #ff8b7d; --warn: #e5b567; --well: #121a20;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
header, main { max-width: 46rem; margin: 0 auto; padding: 0 1rem; }
header { display: flex; gap: 1rem; align-items: baseline; padding-top: 1.25rem; color: var(--soft); font-size: .9rem; }
header a { color: var(--tide); font-weight: 600; text-decoration: none; letter-spacing: .01em; }
header span { margin-left: auto; overflow-wrap: anywhere; text-align: right; }
header button { border: 0; background: none; color: inherit; padding: 0; font-weight: 400; text-decoration: underline; white-space: nowrap; }
main { padding-bottom: 4rem; }
section, .card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; margin-top: 1rem; }
h1 { font-size: 1.35rem; line-height: 1.35; margin: .6rem 0 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font-weight: 650; }
h2 { font-size: 1rem; margin: 0 0 .75rem; }
h1, dd, pre, label, strong, .hint { unicode-bidi: plaintext; }
p { margin: .5rem 0; }
a { color: var(--tide); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; margin: 0; font-size: .93rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
code, pre, .code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: .9em; overflow-wrap: anywhere; }
pre {
  margin: 0; padding: .9rem 1rem; max-height: 26rem; overflow: auto; font-size: .85rem; line-height: 1.5;
  background: var(--well); border: 1px solid var(--line); border-radius: 8px; white-space: pre-wrap; overflow-wrap: anywhere;
}
.tags { display: flex; flex-wrap: wrap; gap: .4rem; font-size: .8rem; }
.tag { border: 1px solid var(--line); border-radius: 99px; padding: .1rem .65rem; color: var(--soft); }
.tag.high, .tag.critical { color: var(--no); border-color: currentColor; font-weight: 600; }
.tag.approved { color: var(--yes); border-color: currentColor; font-weight: 600; }
.tag.rejected, .tag.expired { color: var(--no); border-color: currentColor; font-weight: 600; }
.tag.open { color: var(--tide); border-color: currentColor; font-weight: 600; }
.notice { border-left: 4px solid var(--warn); }
.notice ul { margin: .5rem 0 0; padding-left: 1.2rem; }
.decision.approved { border-left: 4px solid var(--yes); }
.decision.rejected, .decision.expired, .decision.closed { border-left: 4px solid var(--no); }
.decision dl, .decision pre { margin-top: .75rem; }
.once { border-left: 4px solid var(--tide); }
.code { font-size: 1.9rem; font-weight: 650; letter-spacing: .06em; margin: .25rem 0; }
fieldset { border: 0; margin: 0; padding: 0; min-width: 0; }
.field { margin: 0 0 1rem; }
label { display: block; font-weight: 600; margin-bottom: .25rem; overflow-wrap: anywhere; }
label small, .hint { font-weight: 400; color: var(--soft); font-size: .875rem; overflow-wrap: anywhere; }
.hint { margin: .25rem 0 0; white-space: pre-wrap; }
input, select, textarea {
  width: 100%; font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line);
  border-radius: 8px; padding: .55rem .7rem;
}
select, option { text-overflow: ellipsis; }
textarea { resize: vertical; min-height: 4.2rem; }
button {
  font: inherit; font-weight: 600; border-radius: 8px; padding: .6rem 1.25rem; cursor: pointer;
  border: 1px solid var(--line); background: var(--card); color: var(--ink);
}
button.approve { background: var(--yes); border-color: var(--yes); color: var(--card); }
button.reject { color: var(--no); border-color: currentColor; }
button.main { background: var(--tide); border-color: var(--tide); color: var(--card); }
.row { display: flex; flex-wrap: wrap; gap: .75rem; }
:focus-visible { outline: 3px solid var(--tide); outline-offset: 2px; }
details { margin-top: 1rem; }
summary { cursor: pointer; color: var(--soft); }
details > :not(summary) { margin-top: .75rem; }
.inbox { list-style: none; margin: 0; padding: 0; }
.inbox .card { display: block; color: inherit; text-decoration: none; margin-top: .75rem; }
.inbox .card:hover { border-color: var(--tide); }
.inbox strong { display: block; font-weight: 600; margin-bottom: .4rem; overflow-wrap: anywhere; }
@media (max-width: 32rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  main button { width: 100%; }
}
`;
