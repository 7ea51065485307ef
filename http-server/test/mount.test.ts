import { expect, test } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { createApp, type Mount, type Mounted, openLog, startServer } from "../src/index.ts";
import { send } from "./support.ts";

const db = useDatabase();

/** Answers with what it was given, and counts how often it was closed. */
function echo(): Mount & { closed: number; seen: Mounted[] } {
  return {
    path: "/echo",
    methods: ["GET", "POST"],
    bodyLimitBytes: 100,
    closed: 0,
    seen: [],
    async answer(mounted) {
      this.seen.push(mounted);
      return Response.json({ actor: mounted.actor.name, body: mounted.body ?? null });
    },
    refuse: ({ code, status, requestId }) => JSON.stringify({ refused: code, status, requestId }),
    async close() {
      this.closed += 1;
    },
  };
}

test("a mount sees known callers with read bodies alone, and its refusals are in its own words", async () => {
  const lines: string[] = [];
  const log = openLog("debug", { write: (line: string) => void lines.push(line) });
  const mount = echo();
  const app = createApp(db.core, { mounts: [mount], log, allowedOrigins: ["https://a.example"] });
  const ask = async (init: RequestInit, headers: Record<string, string> = {}) => {
    const sent = { "x-request-id": "mine", ...headers };
    const answer = await app.request("http://127.0.0.1/echo", { ...init, headers: sent });
    expect(answer.headers.get("x-request-id")).toBe("mine");
    return { answer, status: answer.status, json: await answer.json() };
  };
  const json = { "content-type": "application/json" };
  const post = { method: "POST", body: '{"n":1}' };
  const good = { actor: "local", body: { n: 1 } };
  expect(await ask(post, json)).toMatchObject({ status: 200, json: good });
  expect(await ask({})).toMatchObject({ status: 200, json: { body: null } });
  const allowed = await ask(post, { ...json, origin: "https://a.example" });
  expect(allowed.answer.headers.get("access-control-allow-origin")).toBe("https://a.example");

  const refused: [RequestInit, Record<string, string>, number, string][] = [
    [post, { ...json, origin: "https://b.example" }, 403, "origin_refused"],
    [post, { ...json, host: "b.example" }, 403, "host_refused"],
    [post, { ...json, authorization: "Bearer tb_wrong" }, 401, "key_invalid"],
    [post, { "content-type": "text/plain" }, 415, "content_type_unsupported"],
    [{ ...post, body: "{" }, json, 400, "json_malformed"],
    [{ ...post, body: JSON.stringify("x".repeat(100)) }, json, 413, "body_too_large"],
  ];
  for (const [init, headers, status, code] of refused) {
    const { answer, json: body } = await ask(init, headers);
    expect(answer.status, code).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(body).toEqual({ refused: code, status, requestId: "mine" });
  }
  expect(mount.seen).toHaveLength(3);
  const logged = lines.map((line) => JSON.parse(line));
  expect(logged).toHaveLength(3 + refused.length);
  expect(logged[0]).toMatchObject({
    route: "/echo",
    actor: "local",
    status: 200,
    requestId: "mine",
  });
});

test("a path of a mount tells its methods, and what a mount throws is a problem of ours", async () => {
  const internal: unknown[] = [];
  const mount = { ...echo(), answer: () => Promise.reject(new Error("canary")) };
  const onInternal = (_: string, error: unknown) => void internal.push(error);
  const app = createApp(db.core, { mounts: [mount], onInternal });
  const put = await app.request("/echo", { method: "PUT" });
  expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, HEAD, POST"]);
  const broken = await app.request("/echo");
  expect(broken.status).toBe(500);
  expect(await broken.json()).toMatchObject({ refused: "internal", status: 500 });
  expect(internal).toMatchObject([{ message: "canary" }]);
});

test("a server that stops closes its mounts, and finishes what they were answering", async () => {
  let release = () => {};
  const mount = {
    ...echo(),
    async answer() {
      await new Promise<void>((resolve) => {
        release = resolve;
        asked();
      });
      return new Response("finished");
    },
    close: async () => release(),
  };
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const server = await startServer({ core: db.core, port: 0, mounts: [mount] });
  const answer = send(`${server.url}/echo`);
  await isAsked;
  await server.close();
  expect(await answer).toMatchObject({ status: 200, text: "finished" });
});
