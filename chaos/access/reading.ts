import { operations } from "@tidebase/core";
import { type Case, inputOf, type Known, shapeOf } from "../input/cases.ts";
import type { HttpClient } from "../input/client.ts";
import { callOf, wrongOf } from "../input/http-call.ts";
import { type McpClient, startHttpClient } from "../input/mcp-client.ts";
import { errorOf, TOOLS } from "../input/tools.ts";
import type { Said } from "./canaries.ts";
import type { Planted } from "./planting.ts";

/** What was read, and sentences about what could not be. */
export interface Read {
  readonly said: Said[];
  readonly problems: string[];
}

/** Everything that can be read of what was planted: every reading operation, the event stream, every reading tool. */
export async function readAll(
  client: HttpClient,
  overStdio: McpClient,
  planted: Planted,
): Promise<Read> {
  const read: Read = { said: [], problems: [] };
  await readOperations(client, planted, read);
  const cancelled = await client.post(`/v1/runs/${planted.runId}/cancel`, "{}");
  read.said.push({ place: "runs.cancel", text: cancelled.text });
  for (const path of [`/v1/runs/${planted.runId}/events/stream`, "/ready", "/openapi.json", "/"])
    read.said.push({ place: path, text: (await client.get(path)).text });
  const overHttp = await startHttpClient(client);
  await readTools("HTTP", overHttp, planted, read);
  await overHttp.close();
  await readTools("stdio", overStdio, planted, read);
  return read;
}

/** What names the planted things, and asks for all of them. */
const knownOf = ({ runId, gateId, queue, schedule, stream, step }: Planted): Known => ({
  ...{ runId, gateId, queue, name: schedule, stream, from: 1, to: 1, timeoutMs: 1 },
  ...{ key: step.key, payload: "full", detail: "detailed" },
});

async function readOperations(client: HttpClient, planted: Planted, read: Read): Promise<void> {
  for (const operation of operations) {
    const { name, route, effect, input } = operation;
    if (effect !== "read" || !route.startsWith("GET ")) continue;
    const known = {
      ...knownOf(planted),
      ...(name === "steps.get" && planted.step),
      ...(name === "gates.list" && { status: "any" }),
      ...(name === "runs.get" && { include: ["input", "result"] }),
    };
    const asked = [...(name === "steps.get" ? ["key"] : ["status"]), "stream", "include"];
    const answer = await client.send(callOf(operation, needed(input, known, asked), known));
    read.said.push({ place: name, text: answer.text });
    const wrong = wrongOf(answer) ?? (answer.status === 200 ? undefined : answer.text);
    if (wrong !== undefined) read.problems.push(`${name} cannot be read: ${wrong.slice(0, 300)}`);
  }
}

async function readTools(way: string, mcp: McpClient, planted: Planted, read: Read): Promise<void> {
  const known = knownOf(planted);
  for (const { name, input, annotations } of TOOLS) {
    if (!annotations.readOnlyHint) continue;
    const given = inputOf(
      needed(input, known, ["stream", "payload", "detail", "timeoutMs"]),
      known,
    );
    const answer = await mcp.ask("tools/call", { name, arguments: given });
    read.said.push({ place: `${name} over ${way}`, text: JSON.stringify(answer) });
    if (answer.error !== undefined || errorOf(answer) !== undefined)
      read.problems.push(
        `${name} over ${way} cannot be read: ${JSON.stringify(answer).slice(0, 300)}`,
      );
  }
}

/** The members that have to be there, and these: nothing else filters what is to be found. */
function needed(
  input: Parameters<typeof shapeOf>[0],
  known: Known,
  asked: readonly string[],
): Case {
  const { properties = {}, required = [] } = shapeOf(input);
  const names = Object.keys(properties).filter(
    (name) => required.includes(name) || (asked.includes(name) && known[name] !== undefined),
  );
  const members = names.map((name) => [name, { good: true, value: undefined }]);
  return { kind: "valid", members: Object.fromEntries(members) };
}
