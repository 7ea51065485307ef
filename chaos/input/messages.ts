import type { HttpClient } from "./client.ts";
import { MCP_HEADERS, type StdioClient } from "./mcp-client.ts";
import type { Ledger, Row } from "./rows.ts";

const PING = { jsonrpc: "2.0", id: "p", method: "ping" };
const CALL = { jsonrpc: "2.0", id: "c", method: "tools/call" };

/** Lines that are no message of a client, and calls that no tool takes. The program answers what comes next. */
export async function strangeLines(client: StdioClient, ledger: Ledger): Promise<void> {
  const lines = [
    ...["no JSON", "", "null", "1", '"x"', "[]", "{}", '{"jsonrpc":"2.0"}', "\ufeff{}", "\u0000"],
    ...[
      { ...PING, jsonrpc: "1.0" },
      { ...PING, id: null },
      { ...PING, id: {} },
      { ...PING, id: 1e300 },
    ],
    ...[
      { ...PING, id: 0.5 },
      { ...PING, method: 7 },
      { ...PING, method: "" },
      { ...PING, params: 7 },
    ],
    ...[[PING, PING], { jsonrpc: "2.0", method: "notifications/unknown" }, { ...PING, result: {} }],
    ...[
      { jsonrpc: "2.0", id: 999_999, result: {} },
      { jsonrpc: "2.0", id: 1, error: { code: 1 } },
    ],
    ...[
      { ...CALL, params: {} },
      { ...CALL, params: { name: 7 } },
      { ...CALL, params: [] },
    ],
    ...[
      "[".repeat(100_000),
      `{"a":${"[".repeat(100_000)}`,
      `{"id":5,"x":"${"x".repeat(11_000_000)}"}`,
    ],
  ];
  for (const line of lines) {
    const text = typeof line === "string" ? line : JSON.stringify(line);
    client.raw(`${text}\n`);
    const answered = await client.ask("ping").then(
      ({ result }) => (result === undefined ? "an error" : undefined),
      (error: unknown) => String(error),
    );
    ledger.tried(
      "B23",
      answered === undefined ? undefined : `after ${text.slice(0, 60)}: ${answered}`,
    );
  }
  const calls: [string, unknown, readonly number[]][] = [
    ["no/such/method", {}, [-32_601]],
    ["tools/call", {}, [-32_602]],
    ["tools/call", { name: 7 }, [-32_602]],
    ["tools/call", { name: "tidebase_overview", arguments: 7 }, [-32_602]],
    ["resources/read", { uri: "tidebase://nothing" }, [-32_602, -32_002]],
    ["resources/read", { uri: "file:///etc/passwd" }, [-32_602, -32_002]],
    ["prompts/get", { name: "nothing" }, [-32_602]],
  ];
  for (const [method, params, right] of calls) {
    const { error } = await client.ask(method, params);
    const fits = right.includes(Number(error?.code));
    ledger.tried(
      "B23",
      fits ? undefined : `${method} ${JSON.stringify(params)}: ${JSON.stringify(error)}`,
    );
  }
  ledger.tried(
    "B23",
    client.strays.length === 0 ? undefined : `standard output carried ${client.strays[0]}`,
  );
}

/** Messages over HTTP that are none, in sessions that are none, from pages and to hosts that are not ours. */
export async function strangePosts(
  client: HttpClient,
  stranger: HttpClient,
  session: Readonly<Record<string, string>>,
  ledger: Ledger,
): Promise<void> {
  const { "mcp-session-id": _, ...without } = session;
  const tooLong = { ...PING, params: { text: "x".repeat(5 * 1_048_576) } };
  const cases: [Row, number, unknown, Readonly<Record<string, string>>][] = [
    ["B23", 400, "{", session],
    ["B23", 400, [PING, PING], session],
    ["B23", 400, "", session],
    ["B23", 400, { ...PING, jsonrpc: "1.0" }, session],
    ["B23", 400, `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, session],
    ["B23", 400, PING, { ...session, "mcp-protocol-version": "1999-01-01" }],
    ["B23", 400, PING, without],
    ["B23", 404, PING, { ...session, "mcp-session-id": "made-up" }],
    ["B23", 406, PING, { ...session, accept: "application/json" }],
    ["B23", 413, tooLong, session],
    ["B23", 415, PING, { ...session, "content-type": "text/plain" }],
    ["B23", 415, PING, { ...session, "content-encoding": "gzip" }],
    ["B24", 403, PING, { ...session, host: "evil.example" }],
    ["B24", 403, PING, { ...session, origin: "https://evil.example" }],
    ["B24", 403, PING, { ...session, origin: "null" }],
    ["B24", 403, PING, { ...session, origin: "http://localhost:1" }],
    ["B24", 200, PING, session],
  ];
  for (const [row, status, message, headers] of cases) {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    const answer = await client.exchange("POST", "/mcp", headers, body);
    const about = `${status} for ${body.slice(0, 40)} with ${JSON.stringify(headers).slice(0, 200)}`;
    const right = answer.status === status && /"jsonrpc":"2.0"/.test(answer.text);
    ledger.tried(
      row,
      right ? undefined : `${about}: ${answer.status} ${answer.text.slice(0, 200)}`,
    );
  }
  for (const method of ["POST", "GET", "DELETE"]) {
    const body = method === "POST" ? JSON.stringify(PING) : undefined;
    const { status } = await stranger.exchange(
      method,
      "/mcp",
      { ...MCP_HEADERS, ...session },
      body,
    );
    ledger.tried(
      "B23",
      status === 404 ? undefined : `${method} in another key's session: ${status}`,
    );
  }
}
