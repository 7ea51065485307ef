import type { HttpClient } from "../input/client.ts";
import { type McpClient, startHttpClient } from "../input/mcp-client.ts";
import type { Canaries, Said } from "./canaries.ts";

type Word = (name: string) => string;
type Try = readonly [
  place: string,
  answer: (client: HttpClient, word: Word) => Promise<{ readonly text: string }>,
];

const FORM = { "content-type": "application/x-www-form-urlencoded" };
const PLAIN = { "content-type": "text/plain" };
const json = (value: object) => JSON.stringify(value);

/** Every way to be refused, with a word in what is wrong about it. */
const TRIES: readonly Try[] = [
  ["malformed JSON", (c, word) => c.post("/v1/runs", `{"workflow":"${word("malformed")}`)],
  ["a wrong type", (c, word) => c.post("/v1/runs", json({ workflow: [word("wrong-type")] }))],
  ["an unknown member", (c, word) => c.post("/v1/runs", json({ [word("member")]: 1 }))],
  ["another content type", (c, word) => c.post("/v1/runs", word("text"), PLAIN)],
  ["a wrong path", (c, word) => c.get(`/v1/${word("path")}`)],
  ["a wrong id", (c, word) => c.get(`/v1/runs/${word("id")}`)],
  ["a wrong cursor", (c, word) => c.get(`/v1/runs?cursor=${word("cursor")}`)],
  ["a wrong host", (c, word) => c.get("/v1/overview", { host: `${word("host")}.example` })],
  ["a wrong origin", (c, word) => c.get("/v1/overview", { origin: `https://${word("origin")}` })],
  ["a wrong cron", (c, word) => c.post("/v1/schedules", json(schedule(word("cron"))))],
  ["a wrong address", (c, word) => c.post("/v1/webhooks", json(webhook(word("url"))))],
  ["a wrong sign-in", (c, word) => c.post("/gates/session", `key=${word("sign-in")}`, FORM)],
  ["a wrong link", (c, word) => c.post("/gates/session", `link=${word("sign-in-link")}`, FORM)],
];

const schedule = (cron: string) => ({ name: "x", workflow: "w", cron });
const webhook = (path: string) => ({ name: "x", url: `http://127.0.0.1:1/${path}`, events: ["*"] });

/** Calls of tools that are refused. */
const callsOf = (word: Word) => [
  { name: word("tool") },
  { name: "tidebase_get_run", arguments: { runId: word("argument") } },
  { name: "tidebase_list_runs", arguments: { [word("argument-name")]: 1 } },
  { name: "tidebase_list_runs", arguments: { cursor: word("cursor") } },
  { name: "tidebase_manage_schedule", arguments: { name: word("schedule"), action: "pause" } },
];

/** Is refused in every way, over HTTP and as an agent; what is told then. */
export async function provoke(
  client: HttpClient,
  stranger: (key: string) => HttpClient,
  overStdio: McpClient,
  canaries: Canaries,
): Promise<Said[]> {
  const word = (name: string) => canaries.word(`passing-${name}`);
  const said: Said[] = [];
  for (const [place, answer] of TRIES)
    said.push({ place, text: (await answer(client, word)).text });
  const wrongKey = stranger(word("wrong-key"));
  said.push({ place: "a wrong key", text: (await wrongKey.get("/v1/overview")).text });
  await wrongKey.close();
  const overHttp = await startHttpClient(client);
  for (const mcp of [overHttp, overStdio])
    for (const params of callsOf(word)) {
      const answer = await mcp.ask("tools/call", params);
      said.push({ place: `the error of ${params.name}`, text: JSON.stringify(answer) });
    }
  await overHttp.close();
  return said;
}
