import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { useDatabase } from "../../core/test/support/database.ts";
import { randomOf, seedOf } from "../../test/support/random.ts";
import { joined } from "../proxy/frames.ts";
import type { Link } from "../proxy/link.ts";
import { openLink } from "../proxy/tcp-link.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;

/** A server that answers with what it got; `took` is told of each connection. */
async function echo(took: (socket: Socket) => void = () => {}): Promise<Server> {
  const server = createServer((socket) => {
    took(socket.on("error", () => {}));
    socket.pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing.push(() => server.close());
  return server;
}

async function linkTo(port: number, kind: "postgres" | "http" = "http"): Promise<Link> {
  const link = await openLink({ targets: () => [{ host: "127.0.0.1", port }], kind });
  closing.push(() => link.close());
  return link;
}

async function client(link: Link): Promise<Socket> {
  const socket = connect(link.port, "127.0.0.1")
    .setNoDelay()
    .on("error", () => {});
  closing.push(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** What comes back until there are so many bytes. */
async function read(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let length = 0; length < bytes; ) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    chunks.push(chunk);
    length += chunk.length;
  }
  return joined(chunks);
}

/** By an end or by a reset. */
const closed = (socket: Socket) => new Promise((resolve) => socket.once("close", resolve));

describe("A link", () => {
  const seed = seedOf();
  const random = randomOf(seed);

  it(`keeps order and bytes while it delays each chunk (seed ${seed})`, async () => {
    const link = await linkTo(portOf(await echo()), "http");
    const socket = await client(link);
    socket.write("through");
    await read(socket, "through".length);
    link.delay(8);
    const chunks = Array.from({ length: 30 }, () =>
      Buffer.from(Array.from({ length: 1 + random(3000) }, () => random(256))),
    );
    const sent = joined(chunks);
    const got = read(socket, sent.length);
    for (const chunk of chunks) {
      socket.write(chunk as Uint8Array);
      await new Promise(setImmediate);
    }
    expect((await got).equals(sent as Uint8Array)).toBe(true);
  });

  it("passes the end on, and what comes back after it", async () => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      let got = "";
      socket.on("data", (chunk) => (got += chunk)).on("end", () => socket.end(`got ${got}`));
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    closing.push(() => server.close());
    const link = await linkTo(portOf(server));
    const socket = await client(link);
    socket.end("all");
    expect(await text(socket)).toBe("got all");
    await expect.poll(() => link.open).toBe(0);
  });

  it("cuts every connection by a reset, and takes new ones", async () => {
    const link = await linkTo(portOf(await echo()));
    const socket = await client(link);
    socket.write("a");
    await read(socket, 1);
    const failed = once(socket, "error");
    expect(link.open).toBe(1);
    link.cut();
    expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe("ECONNRESET");
    expect(link.open).toBe(0);
    const next = await client(link);
    next.write("b");
    expect((await read(next, 1)).toString()).toBe("b");
  });

  it("lets nothing through a hole, tells nobody of an end, and passes all of it after healing", async () => {
    let reached = 0;
    const ended: Socket[] = [];
    const server = await echo((socket) => {
      reached += 1;
      socket.on("end", () => ended.push(socket));
    });
    const link = await linkTo(portOf(server));
    const [one, other] = [await client(link), await client(link)];
    one.write("a");
    await read(one, 1);
    await expect.poll(() => reached).toBe(2);
    link.hole();
    const late = await client(link);
    const answers = [read(one, 4), read(late, 4)];
    one.write("held");
    other.end();
    late.write("late");
    await expect.poll(() => link.held).toBe(4);
    const direct = connect(portOf(server), "127.0.0.1"); // by then the other would have been told
    closing.push(() => direct.destroy());
    direct.write("b");
    await read(direct, 1);
    expect([reached, ended.length]).toEqual([3, 0]);
    link.heal();
    expect((await Promise.all(answers)).map(String)).toEqual(["held", "late"]);
    await expect.poll(() => ended.length).toBe(1);
    expect(reached).toBe(4);
    expect(link.held).toBe(0);
  });

  it("refuses: open connections are reset and new ones too, until it is healed", async () => {
    const link = await linkTo(portOf(await echo()));
    const open = await client(link);
    const reset = closed(open);
    link.refuse();
    await reset;
    const refused = connect(link.port, "127.0.0.1").on("error", () => {});
    await closed(refused);
    link.heal();
    const taken = await client(link);
    taken.write("a");
    expect((await read(taken, 1)).toString()).toBe("a");
  });

  it("goes to the next target that accepts, in turn, and resets where none does", async () => {
    const hits: string[] = [];
    const servers = [await echo(() => hits.push("one")), await echo(() => hits.push("two"))];
    const gone = createServer();
    await once(gone.listen(0, "127.0.0.1"), "listening");
    const ports = [portOf(gone), ...servers.map(portOf)];
    await new Promise((resolve) => gone.close(resolve));
    let targets = ports.map((port) => ({ host: "127.0.0.1", port }));
    const link = await openLink({ targets: () => targets, kind: "http" });
    closing.push(() => link.close());
    for (let n = 0; n < 6; n++) {
      const socket = await client(link);
      socket.write("a");
      await read(socket, 1);
    }
    expect(hits.filter((hit) => hit === "one").length).toBeGreaterThan(1);
    expect(hits.filter((hit) => hit === "two").length).toBeGreaterThan(1);
    targets = [];
    await closed(connect(link.port, "127.0.0.1").on("error", () => {}));
  });

  it("slows the sender down when the receiver does not read", async () => {
    const link = await linkTo(portOf(await echo((socket) => socket.unpipe().pause())));
    const socket = await client(link);
    const megabyte = new Uint8Array(1_048_576);
    while (socket.write(megabyte) || socket.writableLength < 24 * megabyte.length);
    await expect.poll(() => link.held).toBeGreaterThan(0);
    expect(link.held).toBeLessThan(megabyte.length);
    expect(socket.writableLength).toBeGreaterThan(0);
  });

  it("loses the answers of requests other than GET, each after the server has had it", async () => {
    const seen: string[] = [];
    const server = createHttpServer(async (request, response) => {
      seen.push(`${request.method} ${await text(request)}`);
      response.end("done");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    closing.push(() => server.close());
    const link = await linkTo(portOf(server));
    link.loseAnswers(2);
    const ask = async (method: string, body?: string) => {
      const url = `http://127.0.0.1:${link.port}/`;
      const response = await fetch(url, { method, ...(body !== undefined && { body }) });
      return await response.text();
    };
    expect(await ask("POST", "one")).toBe("done");
    expect(await ask("GET")).toBe("done");
    await expect(ask("POST", "two")).rejects.toThrow();
    expect(await ask("GET")).toBe("done");
    expect(await ask("PUT", "three")).toBe("done");
    expect(seen).toEqual(["POST one", "GET ", "POST two", "GET ", "PUT three"]);
    expect(link.lost).toBe(1);
    link.heal();
    expect(await ask("POST", "four")).toBe("done");
  });
});

describe("A link before Postgres", () => {
  const db = useDatabase();
  let link: Link;
  beforeAll(async () => {
    const port = Number(new URL(db.url).port);
    link = await openLink({ targets: () => [{ host: "127.0.0.1", port }], kind: "postgres" });
    await db.pool.query("create table notes (n int primary key)");
  });
  afterAll(() => link.close());

  async function connection(): Promise<pg.Client> {
    const url = Object.assign(new URL(db.url), { port: String(link.port) });
    const opened = new pg.Client(url.href);
    opened.on("error", () => {});
    closing.push(() => opened.end().catch(() => {}));
    await opened.connect();
    return opened;
  }
  const insert = (n: number) => `insert into notes values (${n})`;
  const stored = async () =>
    (await db.pool.query<{ n: number }>("select n from notes order by n")).rows.map(({ n }) => n);

  it("loses exactly the answer of a statement that committed, by whatever protocol", async () => {
    const before = link.lost;
    const one = await connection();
    link.loseAnswers(2);
    await one.query(insert(1));
    await expect(one.query(insert(2))).rejects.toThrow(/terminated|ECONNRESET/);
    const two = await connection();
    await two.query("insert into notes values ($1)", [3]);
    const named = { name: "note", text: "insert into notes values ($1)", values: [4] };
    await expect(two.query(named)).rejects.toThrow(/terminated|ECONNRESET/);
    link.heal();
    expect(await stored()).toEqual([1, 2, 3, 4]);
    expect(link.lost - before).toBe(2);
  });

  it("loses the answer of a COMMIT and of nothing else in its transaction", async () => {
    const before = link.lost;
    const one = await connection();
    link.loseAnswers(1);
    await one.query("begin isolation level read committed; set local lock_timeout = '1s'");
    await one.query(insert(11));
    await one.query("insert into notes values ($1)", [12]);
    await expect(one.query("commit")).rejects.toThrow(/terminated|ECONNRESET/);
    const two = await connection();
    await two.query("begin");
    await two.query(insert(13));
    await two.query("rollback");
    link.heal();
    expect(await stored()).toEqual([1, 2, 3, 4, 11, 12]);
    expect(link.lost - before).toBe(1);
  });

  it("passes the answer that tells a failure: nothing was committed", async () => {
    const before = link.lost;
    const one = await connection();
    link.loseAnswers(1);
    await expect(one.query(insert(1))).rejects.toThrow(/duplicate key/);
    await expect(one.query("insert into notes values ($1)", [1])).rejects.toThrow(/duplicate key/);
    link.heal();
    await one.query(insert(21));
    expect(link.lost).toBe(before);
  });

  it("drops notifications while it is deafened, and the listener hears those after", async () => {
    const heard: string[] = [];
    const one = await connection();
    one.on("notification", ({ payload = "" }) => heard.push(payload));
    await one.query("listen news");
    link.deafen();
    await db.pool.query("notify news, 'dropped'");
    await expect.poll(() => link.unheard).toBe(1);
    link.heal();
    await db.pool.query("notify news, 'passed'");
    await expect.poll(() => heard).toEqual(["passed"]);
  });
});
