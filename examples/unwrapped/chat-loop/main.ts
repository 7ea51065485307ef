import { parseArgs } from "node:util";
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

const messages: Message[] = [{ role: "user", content: ask }];
const booked: string[] = [];
let toolCalls = 0;

async function callTool({ name, arguments: args }: ToolCall): Promise<string> {
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
      const reference = await bookTable(restaurant, Number(args["people"]), time);
      booked.push(restaurant);
      return `Booked, reference ${reference}.`;
    }
    case "send_invitation": {
      const [to, text] = [String(args["to"]), String(args["text"])];
      await sendMail({ to, subject: `Friday (sent at ${new Date().toDateString()})`, text });
      return "sent";
    }
    default:
      throw new Error(`There is no tool ${name}.`);
  }
}

/** What went wrong is for the model to read. */
async function answer(call: ToolCall): Promise<Message> {
  toolCalls += 1;
  let content: string;
  try {
    content = await callTool(call);
  } catch (error) {
    content = `Failed: ${(error as Error).message}`;
  }
  console.error(`${call.name}: ${content}`);
  return { role: "tool", content, toolCallId: call.id };
}

async function converse(): Promise<string> {
  for (let turn = 1; turn <= maxTurns; turn++) {
    const reply = await chat(messages);
    messages.push(reply);
    console.error(`turn ${turn}: ${reply.content}`);
    if (reply.toolCalls === undefined || reply.toolCalls.length === 0) return reply.content;
    messages.push(...(await Promise.all(reply.toolCalls.map(answer))));
  }
  throw new Error(`The conversation did not end within ${maxTurns} turns.`);
}

try {
  const said = await converse();
  console.log(JSON.stringify({ said, booked, toolCalls, messages: messages.length }, null, 2));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
