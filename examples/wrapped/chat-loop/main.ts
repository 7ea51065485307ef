import { parseArgs } from "node:util";
import { type Run, Tidebase } from "@tidebase/sdk";
import { sendMail } from "../../outside/mail.ts";
import { chat, type Message, type ToolCall } from "../../outside/model.ts";
import { bookTable, checkTable, findRestaurants, getWeather } from "../../outside/restaurants.ts";

const { values } = parseArgs({
  options: {
    ask: { type: "string" },
    turns: { type: "string" },
  },
});
const { ask = "Book a table for four on Friday and invite Ada and Bo." } = values;
const maxTurns = Number(values.turns ?? 10);
if (!Number.isInteger(maxTurns) || maxTurns < 1) {
  console.error("--turns must be a whole number of at least 1.");
  process.exit(2);
}

interface Conversation {
  readonly ask: string;
  readonly maxTurns: number;
}

/** The tools that change something; both providers take idempotency keys. */
const EFFECTS: Readonly<Record<string, string>> = {
  book_table: "books a table",
  send_invitation: "mails an invitation",
};

async function callTool(
  { name, arguments: args }: ToolCall,
  idempotencyKey: string,
): Promise<string> {
  switch (name) {
    case "find_restaurants":
      return (await findRestaurants(String(args["near"]))).join(", ");
    case "get_weather":
      return getWeather(String(args["day"]));
    case "check_table":
      return (await checkTable(String(args["restaurant"]), Number(args["people"])))
        ? "free"
        : "full";
    case "book_table": {
      const [restaurant, time] = [String(args["restaurant"]), String(args["time"])];
      const options = { requestId: idempotencyKey };
      const reference = await bookTable(restaurant, Number(args["people"]), time, options);
      return `Booked, reference ${reference}.`;
    }
    case "send_invitation": {
      const [to, text] = [String(args["to"]), String(args["text"])];
      const subject = `Friday (sent at ${new Date().toDateString()})`;
      await sendMail({ to, subject, text }, { idempotencyKey });
      return "sent";
    }
    default:
      throw new Error(`There is no tool ${name}.`);
  }
}

/** What went wrong is for the model to read. */
async function answer(run: Run<Conversation>, call: ToolCall, key: string): Promise<Message> {
  const effect = EFFECTS[call.name];
  const idempotencyKey = `${run.runId}:${key}`;
  const contract = effect === undefined ? {} : { sideEffects: [effect], idempotencyKey };
  const content = await run.step(call.name, { key, ...contract }, async () => {
    try {
      return await callTool(call, idempotencyKey);
    } catch (error) {
      return `Failed: ${(error as Error).message}`;
    }
  });
  console.error(`${call.name}: ${content}`);
  return { role: "tool", content, toolCallId: call.id };
}

async function converse(run: Run<Conversation>) {
  const { ask, maxTurns } = run.input;
  const messages: Message[] = [{ role: "user", content: ask }];
  const booked: string[] = [];
  let toolCalls = 0;
  for (let turn = 1; turn <= maxTurns; turn++) {
    const reply = await run.step("model", { key: `turn ${turn}` }, () => chat(messages));
    messages.push(reply);
    console.error(`turn ${turn}: ${reply.content}`);
    const calls = reply.toolCalls ?? [];
    if (calls.length === 0)
      return { said: reply.content, booked, toolCalls, messages: messages.length };
    const answers = await Promise.all(
      calls.map((call, index) => answer(run, call, `turn ${turn}, call ${index + 1}`)),
    );
    messages.push(...answers);
    toolCalls += calls.length;
    for (const [index, { name, arguments: args }] of calls.entries())
      if (name === "book_table" && answers[index]?.content.startsWith("Booked"))
        booked.push(String(args["restaurant"]));
  }
  throw new Error(`The conversation did not end within ${maxTurns} turns.`);
}

const runId = process.env["TIDEBASE_RUN_ID"];
const identity = runId ? { runId } : { idempotencyKey: `chat:${ask}` };
const tide = new Tidebase();
try {
  const input = { ask, maxTurns };
  const result = await tide.run("chat", { ...identity, input }, converse);
  console.log(JSON.stringify(result, null, 2));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  await tide.close();
}
