import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Outcome, send } from "../src/deliveries/send.ts";
import {
  type AllowList,
  AllowListError,
  checkUrl,
  isAllowed,
  readAllowList,
} from "../src/webhooks/address.ts";
import { newSecret } from "../src/webhooks/secret.ts";

/** Names as a hostile name server would answer for them. */
const names: Record<string, readonly string[]> = {
  "hooks.example.com": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
  "private.example.com": ["10.0.0.7"],
  "mixed.example.com": ["93.184.215.14", "127.0.0.1"],
  "mapped.example.com": ["::ffff:127.0.0.1"],
  "six.example.com": ["::1"],
  "zone.example.com": ["fe80::1%eth0"],
  "meta.example.com": ["169.254.169.254"],
  "nonsense.example.com": ["not an address"],
};
const resolve = async (name: string) => names[name] ?? [];
const nothing = readAllowList([]);

let connections = 0;
let answered = 200;
const server = createServer((_, response) => response.writeHead(answered).end());
server.on("connection", () => {
  connections += 1;
});
let port: number;

beforeAll(async () => {
  await once(server.listen(0, "::"), "listening");
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
});

function attempt(url: string, allow: AllowList, resolver = resolve): Promise<Outcome> {
  const deliveryId = "delivery_00000000-0000-4000-8000-000000000000";
  const message = { url, deliveryId, sentAt: new Date().toISOString(), secrets: [newSecret()] };
  const signal = AbortSignal.timeout(60_000);
  return send({ ...message, body: "{}" }, { allow, resolve: resolver, signal });
}

/** `PORT` stands for the port of a server that really listens on this machine. */
const hostile = [
  "",
  "not a url",
  "//example.com/",
  "file:///etc/passwd",
  "gopher://127.0.0.1:PORT/",
  "ftp://example.com/",
  "ws://example.com/",
  "javascript:alert(1)",
  "data:text/plain,x",
  "unix:/var/run/docker.sock",
  "http://hooks.example.com/",
  "https://hooks.example.com:PORT/",
  "https://hooks.example.com:22/",
  "https://hooks.example.com:0/",
  "https://hooks.example.com:65536/",
  "https://user@hooks.example.com/",
  "https://user:pass@hooks.example.com/",
  "https://:pass@hooks.example.com/",
  "http://127.0.0.1:PORT/",
  "https://127.0.0.1/",
  "https://127.1/",
  "https://127.0.1/",
  "https://2130706433/",
  "https://0x7f000001/",
  "https://0x7f.1/",
  "https://0177.0.0.1/",
  "https://017700000001/",
  "https://127.0.0.1./",
  "https://127.255.255.254/",
  "https://１２７.０.０.１/",
  "https://①②⑦.⓪.⓪.①/",
  "https://0/",
  "https://0.0.0.0/",
  "https://0.1.2.3/",
  "https://10.1.2.3/",
  "https://100.64.0.1/",
  "https://169.254.169.254/latest/meta-data/",
  "https://0xa9fea9fe/",
  "https://172.16.0.1/",
  "https://172.31.255.255/",
  "https://192.0.0.8/",
  "https://192.0.2.1/",
  "https://192.88.99.1/",
  "https://192.168.1.1/",
  "https://198.18.0.1/",
  "https://198.51.100.1/",
  "https://203.0.113.1/",
  "https://224.0.0.1/",
  "https://240.0.0.1/",
  "https://255.255.255.255/",
  "https://[::1]/",
  "http://[::1]:PORT/",
  "https://[::]/",
  "https://[0:0:0:0:0:0:0:1]/",
  "https://[::127.0.0.1]/",
  "https://[::7f00:1]/",
  "https://[::ffff:127.0.0.1]/",
  "https://[::ffff:7f00:1]/",
  "https://[::ffff:169.254.169.254]/",
  "https://[::ffff:10.0.0.1]/",
  "https://[::ffff:0:127.0.0.1]/",
  "https://[64:ff9b::127.0.0.1]/",
  "https://[64:ff9b::a9fe:a9fe]/",
  "https://[64:ff9b:1::1]/",
  "https://[2002:7f00:1::]/",
  "https://[2002:a00:1::1]/",
  "https://[2001::1]/",
  "https://[2001:db8::1]/",
  "https://[100::1]/",
  "https://[fc00::1]/",
  "https://[fd00:ec2::254]/",
  "https://[fe80::1]/",
  "https://[fe90::1]/",
  "https://[fe80::1%25eth0]/",
  "https://[fec0::1]/",
  "https://[ff02::1]/",
  "https://[4000::1]/",
  "https://[5f00::1]/",
  "https://localhost/",
  "http://localhost:PORT/",
  "https://LOCALHOST/",
  "https://localhost./",
  "https://localhost../",
  "https://x.localhost/",
  "https://printer.local/",
  "https://db.internal/",
  "https://metadata.google.internal/",
  "https://metadata/",
  "https://instance-data/",
  "https://router.home.arpa/",
  "https://svc.cluster.local/",
  "https://./",
  "https://.../",
  "https://private.example.com/",
  "https://mixed.example.com/",
  "https://mapped.example.com/",
  "https://six.example.com/",
  "https://zone.example.com/",
  "https://meta.example.com/",
  "https://nonsense.example.com/",
  "https://unknown.example.com/",
];

describe(`of ${hostile.length} hostile URLs`, () => {
  test.each(hostile)("%s is refused when it is written, and when it is sent to", async (text) => {
    const url = text.replace("PORT", String(port));
    expect(await checkUrl(url, nothing, resolve)).toMatch(/^[a-z_]+$/);
    const { status, error } = await attempt(url, nothing);
    expect(status).toBeUndefined();
    expect(["url_refused", "address_refused", "name_not_resolved"]).toContain(error);
    expect(connections).toBe(0);
  });
});

test("the reasons say what to mend", async () => {
  const reasons: Record<string, string> = {
    "http://hooks.example.com/": "https_required",
    "https://hooks.example.com:8443/": "port_refused",
    "https://a:b@hooks.example.com/": "credentials_refused",
    "https://localhost/": "host_refused",
    "https://[::ffff:127.0.0.1]/": "address_refused",
    "https://mixed.example.com/": "address_refused",
    "https://unknown.example.com/": "name_not_resolved",
    "ftp://hooks.example.com/": "scheme_refused",
    "?": "not_a_url",
  };
  for (const [url, reason] of Object.entries(reasons))
    expect(await checkUrl(url, nothing, resolve), url).toBe(reason);
});

test("a public address is good: by name, in either family, with a trailing dot", async () => {
  for (const url of [
    "https://hooks.example.com/x?y=1",
    "https://hooks.example.com./",
    "https://93.184.215.14/",
    "https://[2606:4700::1111]/",
    "https://[::ffff:93.184.215.14]/",
  ])
    expect(await checkUrl(url, nothing, resolve), url).toBeUndefined();
});

test("a name that was public when it was written is refused once it leads inside", async () => {
  const before = connections;
  const answers = [["93.184.215.14"], ["127.0.0.1"], ["93.184.215.14", "::1"]];
  const rebinding = async () => answers.shift() ?? [];
  const url = "https://rebind.example.com/";
  expect(await checkUrl(url, nothing, rebinding)).toBeUndefined();
  expect(await attempt(url, nothing, rebinding)).toEqual({ error: "address_refused" });
  expect(await attempt(url, nothing, rebinding)).toEqual({ error: "address_refused" });
  expect(connections).toBe(before);
});

test("exactly what the list allows is let through, and a redirect out of it is not followed", async () => {
  const here = `127.0.0.1:${port}`;
  const before = connections;
  for (const [entry, url] of [
    [here, `http://${here}/`],
    ["127.0.0.1", `http://${here}/`],
    ["127.0.0.0/8", `http://${here}/`],
    [`[::1]:${port}`, `http://[::1]:${port}/`],
    [`localhost:${port}`, `http://localhost:${port}/`],
  ] as const) {
    const allow = readAllowList([entry]);
    expect(await checkUrl(url, allow, async () => ["127.0.0.1"]), entry).toBeUndefined();
    expect(await attempt(url, allow, async () => ["127.0.0.1"]), entry).toEqual({ status: 200 });
  }
  expect(connections).toBe(before + 5);
  for (const [entry, url] of [
    ["127.0.0.1:1", `http://${here}/`],
    ["127.0.0.2/32", `http://${here}/`],
    ["10.0.0.0/8", `http://${here}/`],
    ["localhost", `http://${here}/`],
    ["127.0.0.1", `http://localhost:${port}/`],
  ] as const)
    expect(await attempt(url, readAllowList([entry])), entry).toEqual({ error: "url_refused" });
  expect(connections).toBe(before + 5);
  answered = 302;
  expect(await attempt(`http://${here}/`, readAllowList([here]))).toEqual({ status: 302 });
  expect(connections).toBe(before + 6);
  answered = 200;
});

test("a name that an allowed range holds may be resolved into it, but still needs https", async () => {
  const allow = readAllowList(["10.0.0.0/24"]);
  expect(isAllowed("10.0.0.7", allow)).toBe(true);
  expect(isAllowed("::ffff:10.0.0.7", allow)).toBe(true);
  expect(isAllowed("10.0.1.7", allow)).toBe(false);
  expect(await checkUrl("https://private.example.com/", allow, resolve)).toBeUndefined();
  expect(await checkUrl("http://private.example.com/", allow, resolve)).toBe("https_required");
});

test.each([
  "",
  " ",
  "*",
  "*.example.com",
  "http://localhost",
  "localhost:",
  "localhost:0",
  "localhost:65536",
  "localhost:x",
  "127.1",
  "0x7f.0.0.1",
  "127.0.0.1/33",
  "127.0.0.1/",
  "127.0.0.1/x",
  "127/8",
  "127.0.0.0/8:80",
  "::1",
  "[::1",
  "::1/129",
  "fe80::1%eth0/64",
  "user@host",
  "a b",
  "host/path",
])("the allow list's entry %j is refused by its name", (entry) => {
  expect(() => readAllowList(["localhost", entry])).toThrow(AllowListError);
  expect(() => readAllowList([entry])).toThrow(`"${entry}"`);
});

const raw: Record<string, [answer: string, error: string]> = {
  "that is not HTTP": ["SSH-2.0-server\r\n", "answer_malformed"],
  "with endless headers": [
    `HTTP/1.1 200 OK\r\nx: ${"x".repeat(100_000)}\r\n\r\n`,
    "answer_malformed",
  ],
  "with an upgrade": [
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "answer_malformed",
  ],
  "of nothing": ["", "connection_failed"],
};

test.each(Object.entries(raw))(
  "an answer %s is a failure of its own",
  async (_, [answer, error]) => {
    const odd = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(answer));
    });
    await once(odd.listen(0, "127.0.0.1"), "listening");
    const here = `127.0.0.1:${(odd.address() as AddressInfo).port}`;
    expect(await attempt(`http://${here}/`, readAllowList([here]))).toEqual({ error });
    odd.close();
  },
);

test("what keeps a message from its receiver is told in a constant word", async () => {
  const allow = readAllowList(["127.0.0.1", "gone.example.com"]);
  const closed = createTcpServer();
  await once(closed.listen(0, "127.0.0.1"), "listening");
  const free = (closed.address() as AddressInfo).port;
  await once(closed.close(), "close");
  for (const [url, error] of [
    [`http://127.0.0.1:${free}/`, "connection_refused"],
    [`https://127.0.0.1:${port}/`, "tls_failed"],
    ["https://gone.example.com/", "name_not_resolved"],
  ] as const)
    expect(await attempt(url, allow), url).toEqual({ error });
});
