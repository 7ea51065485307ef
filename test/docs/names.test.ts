import { ERRORS } from "@tidebase/core";
import { beforeAll, expect, it } from "vitest";
import { TOOL_NAMES } from "../../mcp-server/src/tools/index.ts";
import { SDK_ERRORS } from "../../scripts/sdk-errors.ts";
import { type Command, commandFaults, commandTree, leavesOf } from "./commands.ts";
import { knownNames, nameFaults, variablesOfRooms } from "./names.ts";
import { allPages, parsePage } from "./pages.ts";

const pages = allPages();
const known = knownNames();
const documented = pages.map(({ text }) => text).join("\n");
let tree: Command;

beforeAll(async () => {
  tree = await commandTree();
});

it("finds that every command and flag of tidebase on the pages exists", () => {
  expect(leavesOf(tree).length).toBeGreaterThan(40);
  expect(pages.flatMap((page) => commandFaults(page, tree))).toEqual([]);
});

it("finds that every tool, variable, flag, code, event and route on the pages exists", () => {
  expect(pages.flatMap((page) => nameFaults(page, known))).toEqual([]);
});

it("knows a wrong name by its page and line", () => {
  const text = `\`npx tidebase runs list --stat failed\`, and \`tidebase runs forget\`
\`tidebase_list_run\`, TIDEBASE_DATABASE_URI, \`--only-named-run\`
\`run_not_finall\`, \`gate.openend\`, \`POST /v1/runs/<run id>/forks\`
\`\`\`sh
RUN=$(npx tidebase runs list --id)
\`\`\`
`;
  const page = parsePage("docs/broken.md", text);
  const found = [...commandFaults(page, tree), ...nameFaults(page, known)];
  expect(found.map((fault) => fault.replace(/^docs\/broken\.md:/, "")).sort()).toEqual([
    "1: `tidebase runs forget`: there is no command forget.",
    "1: `tidebase runs list --stat failed`: there is no --stat.",
    "2: no program of ours has --only-named-run.",
    "2: there is no tool tidebase_list_run.",
    "2: there is no variable TIDEBASE_DATABASE_URI.",
    "3: nothing is called gate.openend.",
    "3: nothing is called run_not_finall.",
    "3: there is no POST /v1/runs/<run id>/forks.",
    "5: `tidebase runs list --id`: there is no --id.",
  ]);
});

it("finds every tool, command, error code and variable on some page", () => {
  const missing = (names: readonly string[]) =>
    names.filter((name) => !new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(documented));
  expect({
    tools: missing(TOOL_NAMES),
    commands: missing(leavesOf(tree).map((path) => `tidebase ${path}`)),
    codes: missing([...Object.keys(ERRORS), ...Object.keys(SDK_ERRORS)]),
    variables: missing(variablesOfRooms()),
  }).toEqual({ tools: [], commands: [], codes: [], variables: [] });
});
