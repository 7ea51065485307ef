import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { median, timeEach } from "../statistics.mjs";

const PROGRAM = fileURLToPath(new URL("../../mcp-server/dist/main.js", import.meta.url));
const ASKED = 20;
const TOOLS = ["overview", "list_runs", "get_run"];

export const mcp = {
  id: "W9",
  title: "MCP over stdio in a large store",
  measures: TOOLS.map((tool) => ({ id: tool, title: `tidebase_${tool}, median`, unit: "ms" })),
  open: (stage) =>
    stage.ours(async () => {
      const { url } = await stage.largeStore();
      const client = await connect(url);
      const call = (tool, input = {}) => callTool(client, `tidebase_${tool}`, input);
      const { runs } = await call("list_runs");
      const inputs = { get_run: { runId: runs.at(-1).runId } };
      return {
        async measure() {
          const figures = {};
          for (const tool of TOOLS)
            figures[tool] = median(await timeEach(ASKED, () => call(tool, inputs[tool])));
          return figures;
        },
        close: () => client.close(),
      };
    }),
};

async function connect(databaseUrl) {
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [PROGRAM],
      env: { ...process.env, TIDEBASE_DATABASE_URL: databaseUrl },
      stderr: "ignore",
    }),
  );
  return client;
}

async function callTool(client, name, input) {
  const answer = await client.callTool({ name, arguments: input });
  if (answer.isError) throw new Error(`${name}: ${JSON.stringify(answer.content)}`);
  return answer.structuredContent;
}
