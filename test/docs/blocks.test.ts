import { expect, it } from "vitest";
import { fenceFaults } from "./fences.ts";
import { allPages, parsePage } from "./pages.ts";
import { typeFaults } from "./programs.ts";

const pages = allPages();

/** A page on which much is wrong. */
const broken = parsePage(
  "docs/broken.md",
  `# Broken

\`\`\`
no language
\`\`\`

\`\`\`sh backgrund
npx tidebase-server
\`\`\`

\`\`\`sh
npm install @tidebase/sdk
\`\`\`

\`\`\`json
{ "a": 1, } // no
\`\`\`

\`\`\`ts
const runs: number = await tide.fork(runId, { from: "send" });
await run.stepp("send", () => 1);
\`\`\`

\`\`\`js agent.mjs
import { Tidebase } from "@tidebase/sdk";
const tide = new Tidebase({ ulr: "http://127.0.0.1:7373" });
\`\`\`

Say \`tide.queues.redrives(queue)\` and \`run.stepp(name)\`.
`,
);

it("finds that every block says what it is, and that JSON is JSON", () => {
  expect(pages.flatMap(fenceFaults)).toEqual([]);
  expect(fenceFaults(broken).map((fault) => fault.split(": ")[0])).toEqual([
    ...["docs/broken.md:3", "docs/broken.md:7", "docs/broken.md:11", "docs/broken.md:15"],
  ]);
});

it("finds that every program and fragment passes the compiler, and each method that prose names exists", async () => {
  const faults = await typeFaults([...pages, broken]);
  const isBroken = (fault: string) => fault.startsWith("docs/broken.md:");
  expect(faults.filter((fault) => !isBroken(fault))).toEqual([]);
  expect(
    faults
      .filter(isBroken)
      .map((fault) => fault.split(": ")[0])
      .sort(),
  ).toEqual([
    ...["docs/broken.md:20", "docs/broken.md:21", "docs/broken.md:26"],
    ...["docs/broken.md:29", "docs/broken.md:29"],
  ]);
}, 120_000); // some seconds, where nobody else computes
