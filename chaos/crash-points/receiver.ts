import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Delivered, now } from "../history/evidence.ts";
import type { PointDatabase } from "./databases.ts";

/** Endpoints for the webhooks of all trials. */
export interface Receiver {
  /** The address that templates write; it takes nothing. */
  readonly url: string;
  /** Points the webhooks of a copied database to endpoints of its own; one named `flaky` refuses each message once. */
  attach(database: PointDatabase, trial: string): Promise<void>;
  /** What the endpoints of the trial got. */
  received(trial: string): readonly Delivered[];
  close(): void;
}

/** Starts to listen on a free port. */
export async function openReceiver(): Promise<Receiver> {
  const got = new Map<string, Delivered[]>();
  const secrets = new Map<string, string>();
  const server = createServer((request, response) => void take(request, response));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const [, trial = "", receiver = ""] = (request.url ?? "").split("/");
    const of = got.get(trial) ?? [];
    got.set(trial, of);
    const id = String(request.headers["webhook-id"]);
    const isNew = !of.some((one) => one.id === id);
    const status = receiver === "flaky" && isNew ? 503 : 204;
    const signed = isSigned(body, request.headers, secrets.get(`${trial}/${receiver}`) ?? "");
    const { type = "", runId = "" } = readMessage(body);
    of.push({ at: now(), receiver, id, type, runId, signed, status });
    response.writeHead(status).end();
  }

  return {
    url: `${base}/template/none`,
    async attach(database, trial) {
      const rows = await database.query(
        "update tidebase.webhooks set url = $1 || name returning name, secret",
        [`${base}/${trial}/`],
      );
      for (const { name, secret } of rows) secrets.set(`${trial}/${name}`, String(secret));
    },
    received: (trial) => got.get(trial) ?? [],
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const part of request.setEncoding("utf8")) body += String(part);
  return body;
}

/** As Standard Webhooks says, without the product's own library. */
function isSigned(body: string, headers: IncomingMessage["headers"], secret: string): boolean {
  const key = new Uint8Array(Buffer.from(secret.replace(/^whsec_/, ""), "base64"));
  const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const right = `v1,${createHmac("sha256", key).update(text).digest("base64")}`;
  return String(headers["webhook-signature"]).split(" ").includes(right);
}

function readMessage(body: string): { type?: string; runId?: string } {
  const { type, data } = JSON.parse(body) as { type?: string; data?: { runId?: string } };
  return { ...(type !== undefined && { type }), ...(data?.runId && { runId: data.runId }) };
}
