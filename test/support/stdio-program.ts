import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A message of the protocol, read as a test needs it. */
export interface Message {
  readonly jsonrpc: string;
  readonly id?: number;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** An MCP server on stdio, with its raw lines. */
export interface StdioProgram {
  readonly child: ChildProcessWithoutNullStreams;
  /** What it wrote on standard output, line by line. */
  readonly lines: readonly string[];
  stderr(): string;
  /** Writes bytes as they are. */
  raw(bytes: string | Uint8Array): void;
  /** Writes one line. */
  send(line: string): void;
  /** Sends a request; rejects when the program ends before it answered. */
  ask(id: number, method: string, params?: object): Promise<Message>;
  /** Calls a tool; its structured answer, or its error. */
  call(id: number, name: string, input?: object): Promise<Record<string, unknown>>;
  /** Its exit code, null when a signal ended it. */
  readonly exited: Promise<number | null>;
  /** Ends its input; the milliseconds until it is gone. */
  leave(): Promise<number>;
}

/** What a client says first. */
export const HELLO = {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "test", version: "0" },
};

/** Starts the program; every line that it writes on standard output has to be JSON. */
export function startStdio(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd?: string,
): StdioProgram {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env },
    cwd,
  });
  const lines: string[] = [];
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  child.stdin.on("error", () => {}); // it is gone; who waits for an answer is told
  const waiting = new Map<number, (message: Message) => void>();
  createInterface(child.stdout).on("line", (line) => {
    lines.push(line);
    const message = JSON.parse(line) as Message;
    if (message.id !== undefined) waiting.get(message.id)?.(message);
  });
  const raw = (bytes: string | Uint8Array): void => void child.stdin.write(bytes);
  const send = (line: string): void => raw(`${line}\n`);
  const ask = (id: number, method: string, params: object = {}): Promise<Message> =>
    new Promise((resolve, reject) => {
      waiting.set(id, resolve);
      child.once("exit", () =>
        reject(new Error(`It ended before it answered ${method}. It said: ${stderr}`)),
      );
      send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  const call: StdioProgram["call"] = async (id, name, input = {}) => {
    const { result } = await ask(id, "tools/call", { name, arguments: input });
    const { structuredContent, content } = result as {
      structuredContent?: Record<string, unknown>;
      content: readonly { text: string }[];
    };
    return structuredContent ?? JSON.parse(content[0]?.text ?? "");
  };
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const leave = async (): Promise<number> => {
    const since = performance.now();
    child.stdin.end();
    await exited;
    return performance.now() - since;
  };
  return { child, lines, stderr: () => stderr, raw, send, ask, call, exited, leave };
}
