import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";
import { type Core, type CoreOptions, openCore, toJson } from "../../src/index.ts";
import { local, operationNamed } from "./database.ts";

/** A message as it arrived. */
export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly message: { type: string; timestamp: string; data: Record<string, unknown> };
  readonly at: number;
}

/** A webhook's endpoint on loopback. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  /** How it answers from now on. */
  answer: (response: ServerResponse) => void;
}

export const answerWith =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, headers).end();
  };

/** Starts endpoints that answer 204 until they are told otherwise; they end with the test file. */
export function useReceivers(): () => Promise<Receiver> {
  const closing: (() => void)[] = [];
  afterAll(() => {
    for (const close of closing) close();
  });
  return async () => {
    const received: Received[] = [];
    const receiver = { url: "", received, answer: answerWith(204) };
    const server = createServer((request, response) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      request.once("end", () => {
        const { headers } = request;
        received.push({ headers, text, message: JSON.parse(text), at: performance.now() });
        receiver.answer(response);
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    closing.push(() => {
      server.closeAllConnections();
      server.close();
    });
    receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    return receiver;
  };
}

/** A process that sends, or with `sweeps: false` one that only writes. Loopback is allowed. */
export function senderOf(
  databaseUrl: string,
  options: Partial<CoreOptions> = {},
): { core: Core; call(name: string, input: object): Promise<Record<string, unknown>> } {
  const core = openCore({
    databaseUrl,
    checkAnswers: true,
    webhooks: { allow: ["127.0.0.1"], publicUrl: "https://tidebase.example/" },
    ...options,
  });
  return {
    core,
    call: async (name, input) =>
      JSON.parse(toJson(await core.execute(operationNamed(name), input, local))),
  };
}
