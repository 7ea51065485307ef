import { randomUUID } from "node:crypto";
import { delay, hash } from "./effects.ts";

/** What a language model would answer, decided by its prompt. Prompts begin with what is asked for. */
export async function complete(prompt: string, signal?: AbortSignal): Promise<string> {
  await delay(prompt, signal);
  const [task = "", subject = ""] = prompt.split("\n");
  if (task.startsWith("Plan"))
    return ["history", "mechanism", "failures"].map((part) => `${subject}: ${part}`).join("\n");
  if (task.startsWith("Note")) return `${subject} matters when work is resumed.`;
  if (task.startsWith("Criticise"))
    return prompt.includes("Revised twice") ? "good" : "Say more of failures.";
  if (task.startsWith("Revise"))
    return prompt.includes("Revised once")
      ? prompt.replace("Revised once", "Revised twice")
      : `Revised once. ${prompt}`;
  return `An answer about ${subject}, in ${hash(prompt) % 900} words.`;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: Readonly<Record<string, string | number>>;
}

export interface Message {
  readonly role: "user" | "assistant" | "tool";
  readonly content: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly toolCallId?: string;
}

/** A turn of a conversation in which a table is booked. Ids of tool calls are random, as providers make them. */
export async function chat(messages: readonly Message[], signal?: AbortSignal): Promise<Message> {
  await delay(JSON.stringify(messages.map(({ content }) => content)), signal);
  const call = (name: string, args: ToolCall["arguments"]): ToolCall => ({
    id: `call_${randomUUID()}`,
    name,
    arguments: args,
  });
  const turn = messages.filter(({ role }) => role === "assistant").length;
  const last = messages.at(-1)?.content ?? "";
  const turns: (() => Message)[] = [
    () =>
      wants("I look for places and at the weather.", [
        call("find_restaurants", { near: "harbour" }),
        call("get_weather", { day: "friday" }),
      ]),
    () =>
      wants(
        "Is there a table?",
        ["Anker", "Boje"].map((name) => call("check_table", { restaurant: name, people: 4 })),
      ),
    () =>
      wants("I book it.", [call("book_table", { restaurant: "Boje", people: 4, time: "19:30" })]),
    () =>
      wants(
        "I tell the others.",
        ["ada@example.com", "bo@example.com"].map((to) =>
          call("send_invitation", { to, text: last }),
        ),
      ),
  ];
  return (
    turns[turn]?.() ?? {
      role: "assistant",
      content: "A table at Boje is booked for four, and everybody is invited.",
    }
  );
}

function wants(content: string, toolCalls: ToolCall[]): Message {
  return { role: "assistant", content, toolCalls };
}
