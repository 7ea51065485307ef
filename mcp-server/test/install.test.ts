import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { parse as parseJsonc } from "jsonc-parser";
import { parse as parseToml } from "smol-toml";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { CLIENTS, launchOf } from "../src/install/clients.ts";
import { editJson } from "../src/install/edit-json.ts";
import { editToml } from "../src/install/edit-toml.ts";
import { install } from "../src/install/install.ts";

let root: string;
let home: string;
let cwd: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "tidebase install "));
});
beforeEach(async () => {
  const place = join(root, String(count++));
  [home, cwd] = [join(place, "home"), join(place, "project")];
  for (const folder of [home, cwd]) await mkdir(folder, { recursive: true });
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly complaints: string;
  readonly questions: string[];
}

/** Runs the subcommand in this test's folders; `answer` is what a person at a terminal types. */
async function run(
  line: string,
  { answer, platform = "linux" }: { answer?: string; platform?: NodeJS.Platform } = {},
): Promise<Outcome> {
  let [out, complaints] = ["", ""];
  const questions: string[] = [];
  const write = ((text: string) => {
    out += text;
    return true;
  }) as typeof process.stdout.write;
  const log = (text: string) => {
    complaints += text;
  };
  const ask = async (question: string) => {
    questions.push(question);
    return answer ?? "";
  };
  const machine = { platform, home, node: "/bin/node", program: "/opt/tidebase/main.js" };
  const code = await install({ env: {}, cwd, write, log }, line.split(" "), {
    ...machine,
    ask: answer === undefined ? undefined : ask,
  });
  return { code, out, complaints, questions };
}

const read = (path: string) => readFile(path, "utf8");
/** Writes a file that was there before, its folders too. */
async function given(path: string, text: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}
const backups = async (path: string) =>
  (await readdir(dirname(path))).filter((name) => name.endsWith(".bak"));

const EVERY = CLIENTS.flatMap((client) =>
  (["project", "user"] as const)
    .filter((scope) => client.files[scope] !== undefined)
    .map((scope) => ({ id: client.id, scope, client })),
);

test.each(EVERY)("writes, leaves alone and takes out the entry of $id ($scope)", async (row) => {
  const { id, scope, client } = row;
  const line = `--client ${id} --scope ${scope} --env A=b`;
  const path = client.files[scope]?.({ platform: "linux", home, cwd, env: {} }) ?? "";
  const parse = client.format === "json" ? parseJsonc : parseToml;

  const first = await run(`${line} --yes`);
  expect(first).toMatchObject({ code: 0, complaints: "" });
  expect(first.out).toContain(`+++ ${path}`);
  const written = parse(await read(path));
  expect(written[client.member].tidebase).toEqual({
    ...(client.typed ? { type: "stdio" } : {}),
    ...{ command: "npx", args: ["-y", "@tidebase/mcp"], env: { A: "b" } },
  });
  const text = await read(path);
  expect(await run(`${line} --yes`)).toMatchObject({
    code: 0,
    out: `Nothing to change in ${path}.\n`,
  });
  expect(await run(`--client ${id} --scope ${scope} --yes`)).toMatchObject({ code: 0 }); // keeps A
  expect(await read(path)).toBe(text);
  expect(await backups(path)).toEqual([]);

  expect((await run(`--client ${id} --scope ${scope} --remove --yes`)).code).toBe(0);
  expect(parse(await read(path))[client.member] ?? {}).toEqual({});
  expect((await run(`--client ${id} --scope ${scope} --remove --yes`)).out).toContain("Nothing");
  expect(await backups(path)).toHaveLength(1);
});

test("keeps comments, order, tabs and line ends of a file that others wrote", async () => {
  const before = `\uFEFF{\r\n\t// servers of the team\r\n\t"inputs": [],\r\n\t"servers": {\r\n\t\t"a": { "url": "https://a.test" }, // first\r\n\t\t"z": { "command": "z" } /* last */\r\n\t}\r\n}\r\n`;
  const path = await given(join(cwd, ".vscode", "mcp.json"), before);
  expect((await run("--client vscode --yes")).code).toBe(0);
  const after = await read(path);
  for (const line of before.split("\r\n").slice(0, 5)) expect(after).toContain(`${line}\r\n`);
  expect(after).toContain("/* last */");
  expect(after.replaceAll("\r\n", "")).not.toContain("\n");
  expect(after).toContain('\t\t"tidebase": {\r\n\t\t\t"type": "stdio"');
  expect(await backups(path)).toHaveLength(1);
  expect(await read(join(dirname(path), (await backups(path))[0] ?? ""))).toBe(before);
  await run("--client vscode --remove --yes");
  expect(parseJsonc(await read(path))).toEqual(parseJsonc(before));
});

test("changes command and arguments of an entry, and leaves the rest of it", async () => {
  const path = await given(
    join(cwd, ".cursor", "mcp.json"),
    `{ "mcpServers": { "tidebase": {\n  "command": "node", // ours\n  "args": ["old.js"],\n  "disabled": true,\n  "env": { "KEEP": "1" } } } }`,
  );
  const { out } = await run("--client cursor --read-only --env NEW=2 --yes -- --toolsets runs");
  const text = await read(path);
  expect(text).toContain("// ours");
  expect(parseJsonc(text).mcpServers.tidebase).toEqual({
    ...{ command: "npx", args: ["-y", "@tidebase/mcp", "--read-only", "--toolsets", "runs"] },
    ...{ disabled: true, env: { KEEP: "1", NEW: "2" } },
  });
  expect(out).toMatch(/^-.*"node"/m);
  expect(out).toMatch(/^\+.*"npx"/m);
});

test("keeps Codex's file but for its own block, also when others write after it", async () => {
  const before = `model = "x" # the big one\n\n[mcp_servers.other]\ncommand = "o"\n[projects."/a b"]\ntrust_level = "trusted"`;
  const path = await given(join(home, ".codex", "config.toml"), before);
  await run("--client codex --yes --env A=b");
  expect((await read(path)).startsWith(`${before}\n\n# >>> tidebase`)).toBe(true);
  await writeFile(path, `${await read(path)}\n[history]\npersistence = "none"\n`);
  await run("--client codex --yes --env C=d");
  expect(parseToml(await read(path))).toMatchObject({
    mcp_servers: { other: { command: "o" }, tidebase: { env: { A: "b", C: "d" } } },
    history: { persistence: "none" },
  });
  await run("--client codex --remove --yes");
  expect(await read(path)).toBe(`${before}\n\n\n[history]\npersistence = "none"\n`);
});

test.each([
  ['[mcp_servers.tidebase]\ncommand = "mine"\n', "was not written by this program"],
  ['mcp_servers = { other = { command = "o" } }\n', "cannot be changed safely|is no TOML"],
  ["a = \nb = 1\n", "is no TOML: .* at line 1, column \\d+"],
  ["mcp_servers = 3\n", '"mcp_servers" in .* is no object'],
])("refuses the TOML %j and changes nothing", async (text, why) => {
  const path = await given(join(home, ".codex", "config.toml"), text);
  const { code, complaints } = await run("--client codex --yes");
  expect({ code, text: await read(path) }).toEqual({ code: 1, text });
  expect(complaints).toMatch(new RegExp(why));
  expect(await readdir(dirname(path))).toHaveLength(1);
});

test.each([
  ['{\n  "mcpServers": {\n    "a": {,}\n  }\n}', "is no JSON: .* at line 3, column 11"],
  ["[]", "holds no object"],
  ['{ "mcpServers": [] }', '"mcpServers" in .* is no object'],
  ['{ "mcpServers": { "tidebase": { "url": "http://x" } } }', "a server of another kind"],
  ['{ "mcpServers": {}, "mcpServers": {} }', "cannot be changed safely"],
])("refuses the JSON %j and changes nothing", async (text, why) => {
  const path = await given(join(cwd, ".mcp.json"), text);
  const { code, complaints } = await run("--client claude-code --yes");
  expect({ code, text: await read(path) }).toEqual({ code: 1, text });
  expect(complaints).toMatch(new RegExp(why));
  expect(await readdir(cwd)).toEqual([".mcp.json"]);
});

test("asks a person at a terminal, and without one changes nothing but by --yes", async () => {
  const path = join(cwd, ".mcp.json");
  const no = await run("--client claude-code", { answer: "n" });
  expect(no).toMatchObject({ code: 1, questions: ["Change the file? [y/N] "] });
  expect((await run("--client claude-code")).code).toBe(1);
  expect((await run("--client claude-code --json", { answer: "y" })).questions).toEqual([]);
  expect(await run("--client claude-code --dry-run")).toMatchObject({ code: 0 });
  await expect(stat(path)).rejects.toThrow("ENOENT");
  expect((await run("--client claude-code", { answer: "y" })).code).toBe(0);
  expect((await stat(path)).isFile()).toBe(true);
});

test("prints one JSON object, of failures too, and no secret", async () => {
  const secret = ["--env", "TIDEBASE_API_KEY=sesame", "--env", "DB=postgres://me:sesame@h/db"];
  const { out } = await run(`--client cursor --json --yes ${secret.join(" ")}`);
  expect(JSON.parse(out)).toMatchObject({
    ...{ client: "cursor", scope: "project", change: "add", written: true },
    notes: [expect.stringContaining("TIDEBASE_API_KEY is now in a file of the project")],
  });
  expect(out).not.toContain("sesame");
  expect(await read(join(cwd, ".cursor", "mcp.json"))).toContain("postgres://me:sesame@h/db");
  await writeFile(join(cwd, ".mcp.json"), "{");
  const failed = await run("--client claude-code --json --yes");
  expect(failed).toMatchObject({ code: 1, complaints: "" });
  expect(JSON.parse(failed.out).error.message).toContain("is no JSON");
});

test("shows no secret of other entries either, whatever shape they have", async () => {
  const env = {
    GITHUB_PAT: "ghp_x1",
    PGPASS: "hunter4",
    DSN: "Server=x;Password=hunter5",
    A: "b?password=hunter6",
  };
  const entry = { command: "x", args: ["--api-key", "hunter7", "--port", "80"], env };
  await given(join(cwd, ".mcp.json"), JSON.stringify({ mcpServers: { tidebase: entry } }, null, 2));
  const { out } = await run("--client claude-code --json --dry-run");
  expect(out).not.toMatch(/ghp_x1|hunter/);
  expect(out).toContain("--port");
});

test.each([
  ["--toolsets runs,bogus", 'there is no set "bogus"'],
  ["http", "no server on standard input and output"],
  ["--version", "no server on standard input and output"],
])("options with which no server would start are refused: %s", async (options, because) => {
  const refused = await run(`--client cursor --yes -- ${options}`);
  expect(refused).toMatchObject({ code: 2, complaints: expect.stringContaining(because) });
});

test("follows a link of the user, keeps the mode, and stays inside a project", async () => {
  const real = await given(join(home, "dotfiles", "mcp.json"), "{}");
  await chmod(real, 0o640);
  await mkdir(join(home, ".cursor"));
  await symlink(real, join(home, ".cursor", "mcp.json"));
  expect((await run("--client cursor --scope user --yes")).code).toBe(0);
  expect((await lstat(join(home, ".cursor", "mcp.json"))).isSymbolicLink()).toBe(true);
  expect((await stat(real)).mode & 0o777).toBe(0o640);
  expect(await read(real)).toContain("@tidebase/mcp");

  await symlink(join(home, ".cursor"), join(cwd, ".cursor"));
  expect((await run("--client cursor --yes")).complaints).toContain("leads out of the project");
  await symlink(join(home, "nowhere"), join(cwd, ".mcp.json"));
  const dangling = await run("--client claude-code --yes");
  expect(dangling.complaints).toContain("a symbolic link that leads nowhere");
});

test("refuses a read-only file and a folder in its place, and makes user files for the user alone", async () => {
  const path = await given(join(cwd, ".mcp.json"), "{}");
  await chmod(path, 0o444);
  const refused = await run("--client claude-code --yes");
  expect(refused).toMatchObject({ code: 1, complaints: expect.stringContaining("is read-only") });
  await mkdir(join(home, ".claude.json"));
  const folder = await run("--client claude-code --scope user --yes");
  expect(folder.complaints).toContain("is no regular file");
  await run("--client windsurf --yes");
  const made = await stat(join(home, ".codeium", "windsurf", "mcp_config.json"));
  expect(made.mode & 0o777).toBe(0o600);
});

test("finds each client's file on macOS and Windows", () => {
  const files = (platform: NodeJS.Platform, home: string, env = {}) =>
    Object.fromEntries(
      CLIENTS.map(({ id, files }) => [id, files.user?.({ platform, home, cwd: "", env })]),
    );
  const mac = files("darwin", "/Users/me", { CODEX_HOME: "/c", CLAUDE_CONFIG_DIR: "/d" });
  expect(mac).toMatchObject({
    "claude-code": "/d/.claude.json",
    vscode: "/Users/me/Library/Application Support/Code/User/mcp.json",
    codex: "/c/config.toml",
    "claude-desktop": "/Users/me/Library/Application Support/Claude/claude_desktop_config.json",
  });
  expect(files("win32", "C:\\Users\\me", { APPDATA: "D:\\Data" })).toMatchObject({
    "claude-desktop": "D:\\Data\\Claude\\claude_desktop_config.json",
    cursor: "C:\\Users\\me\\.cursor\\mcp.json",
  });
});

test("starts npx through cmd on Windows, and this very program with --local", async () => {
  await run("--client claude-code --yes", { platform: "win32" }).catch(() => {});
  expect(launchOf({ platform: "win32" })).toEqual({
    ...{ command: "cmd", args: ["/c", "npx", "-y", "@tidebase/mcp"] },
  });
  await run("--client cursor --local --yes --name mine");
  expect(parseJsonc(await read(join(cwd, ".cursor", "mcp.json"))).mcpServers.mine).toEqual({
    ...{ command: "/bin/node", args: ["/opt/tidebase/main.js"] },
  });
});

test.each([
  ["--yes", "Name the client"],
  ["--client cluade-code", "Did you mean claude-code?"],
  ["--client codex --scope project", "Codex has user, not"],
  ["--client cursor --name __proto__", "--name"],
  ["--client cursor --env SESAME", "--env: write KEY=VALUE"],
  ["--client cursor --what", "--what"],
])("refuses the command line %j with the help", async (line, why) => {
  const { code, complaints } = await run(line);
  expect({ code, shown: complaints.includes("Usage:") }).toEqual({ code: 2, shown: true });
  expect(complaints).toContain(why);
});

test("says the same of everything else, whatever a file says", () => {
  const word = fc.string({ unit: "grapheme", maxLength: 6 });
  const name = word.filter((text) => text !== "__proto__");
  const servers = fc.dictionary(name, fc.record({ command: word, args: fc.array(word) }));
  const file = fc.record({ mcpServers: servers, other: fc.json() }, { requiredKeys: ["other"] });
  const client = CLIENTS.find(({ id }) => id === "cursor") as (typeof CLIENTS)[number];
  const codex = CLIENTS.find(({ id }) => id === "codex") as (typeof CLIENTS)[number];
  const seed = Date.now() % 1e9;
  const edit = { file: "f", name: "tidebase", launch: launchOf() };
  fc.assert(
    fc.property(file, fc.constantFrom(undefined, 1, 2, "\t"), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      const added = editJson(text, { ...edit, client });
      expect(editJson(added, { ...edit, client })).toBe(added);
      const gone = editJson(added, { ...edit, client, launch: undefined });
      expect(JSON.parse(gone)).toEqual({ mcpServers: {}, ...value });
    }),
    { seed, numRuns: 100 },
  );
  const tables = fc.constantFrom("", "a = 1", "[x]\ny = 2\n", '[mcp_servers.o]\ncommand="o"');
  fc.assert(
    fc.property(tables, fc.dictionary(fc.stringMatching(/^[A-Z]{1,5}$/), word), (text, env) => {
      const launch = { ...launchOf(), env };
      const added = editToml(text, { ...edit, client: codex, launch });
      expect(editToml(added, { ...edit, client: codex, launch })).toBe(added);
      const gone = editToml(added, { ...edit, client: codex, launch: undefined });
      expect(parseToml(gone)).toEqual(parseToml(text));
    }),
    { seed, numRuns: 100 },
  );
});
