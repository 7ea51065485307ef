import { setMaxListeners } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type Core, type ErrorCode, TidebaseError } from "@tidebase/core";
import { type AppOptions, createApp } from "./app.ts";
import { requestIdOf } from "./exchange.ts";
import { isLoopback } from "./guard.ts";
import { rawRefusal, refusal } from "./problem.ts";
import { closeWhenUnread, isClosing, linger } from "./unread.ts";

/** Requests under way get this long when the server stops. */
const GRACE_MS = 8000;

const SETTINGS = {
  keepAliveTimeout: 75_000,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 16_384,
  requireHostHeader: false, // the guard refuses such a request, with a problem
};

/** What to serve, and where. */
export interface ServerOptions extends Omit<AppOptions, "stopping" | "requireKey"> {
  readonly core: Core;
  /** 127.0.0.1 by default; another address needs a stored key. */
  readonly host?: string;
  /** 7373 by default; 0 takes a free one. */
  readonly port?: number;
  /** How long a client may take to send its headers, in milliseconds; 10,000 by default. */
  readonly headersTimeoutMs?: number;
}

/** A server that accepts connections. */
export interface RunningServer {
  /** Such as `http://127.0.0.1:7373`. */
  readonly url: string;
  readonly port: number;
  /**
   * Stops accepting, sends streams away with a hint, answers calls that wait at once, closes the mounts
   * and finishes what is under way (8 s). Core stays open.
   */
  close(): Promise<void>;
}

/** The server cannot listen as it was told to; `message` and `fix` are for the human. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly fix: string;

  constructor(message: string, fix: string, options?: ErrorOptions) {
    super(message, options);
    this.fix = fix;
  }
}

/** Serves the API of an open core. Throws ListenError when the address is taken or not allowed. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { core, host = "127.0.0.1", port = 7373 } = options;
  const exposed = !isLoopback(host);
  if (exposed && !(await core.hasKeys()))
    throw new ListenError(
      `Without an API key the server is open, so it does not listen on ${host}.`,
      "Make a key with `npx tidebase keys create <name> --scopes read,work,enqueue`, or listen on 127.0.0.1.",
    );
  const stopping = new AbortController();
  setMaxListeners(0, stopping.signal); // one for each stream, and for each call that waits
  const app = createApp(core, {
    ...options,
    requireKey: exposed,
    stopping: stopping.signal,
    allowedHosts: [...(options.allowedHosts ?? []), ...ownName(host)],
  });
  const listener = getRequestListener(app.fetch, {
    errorHandler: unreadable,
    autoCleanupIncoming: false, // it cuts the socket of a client that has not been told: see unread.ts
  });
  const settings = {
    ...SETTINGS,
    ...(options.headersTimeoutMs !== undefined && { headersTimeout: options.headersTimeoutMs }),
  };
  const server = createServer(settings, (incoming, outgoing) => {
    if (isClosing(incoming.socket)) {
      incoming.resume(); // or what comes after it could not be thrown away
      if (outgoing.socket !== null) outgoing.detachSocket(incoming.socket);
      return;
    }
    closeWhenUnread(incoming, outgoing);
    if (stopping.signal.aborted) outgoing.setHeader("connection", "close");
    void listener(incoming, outgoing);
  });
  answerWhatNodeRefuses(server);
  const sockets = trackSockets(server);
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host.replace(/[[\]]/g, "")}]` : host}:${address.port}`,
    port: address.port,
    async close() {
      const stopped = stop(server, sockets, stopping);
      await Promise.all([stopped, ...(options.mounts ?? []).map((mount) => mount.close())]);
    },
  };
}

/** An address that was named is a name the server answers to; `0.0.0.0` and `::` name nothing. */
function ownName(host: string): string[] {
  const bare = host.replace(/[[\]]/g, "");
  if (bare === "0.0.0.0" || bare === "::") return [];
  return [bare.includes(":") ? `[${bare}]` : bare];
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(cannotListen(cause, host, port)));
    server.listen({ host: host.replace(/[[\]]/g, ""), port }, resolve);
  });
}

function cannotListen(cause: NodeJS.ErrnoException, host: string, port: number): ListenError {
  if (cause.code === "EADDRINUSE")
    return new ListenError(
      `Port ${port} on ${host} is taken.`,
      "If an assistant's tidebase-mcp listens there, the API is served already. Else stop that program, or choose another port with --port or TIDEBASE_PORT.",
      { cause },
    );
  if (cause.code === "EACCES")
    return new ListenError(
      `This user may not listen on port ${port}.`,
      "Choose a port above 1023 with --port or TIDEBASE_PORT.",
      { cause },
    );
  return new ListenError(
    `Cannot listen on ${host}:${port} (${cause.code ?? cause.message}).`,
    "Choose an address of this machine with --host or TIDEBASE_HOST.",
    { cause },
  );
}

/** The adapter could not make a request of it: its address or its Host is no URL. */
function unreadable(cause: unknown): Response {
  const malformed = cause instanceof Error && cause.name === "RequestError";
  const error = malformed ? new TidebaseError("request_malformed", { cause }) : cause;
  const { problem, headers, body } = refusal(error, requestIdOf(undefined));
  return new Response(body, { status: problem.status, headers: { ...headers } });
}

const PARSER_ERRORS: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "headers_too_large",
  ERR_HTTP_REQUEST_TIMEOUT: "request_timeout",
};

/** What never becomes a request gets its problem too, as far as the socket still carries it. */
function answerWhatNodeRefuses(server: Server): void {
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (
      error.code === "ECONNRESET" ||
      !socket.writable ||
      answering(socket)?.headersSent === true
    ) {
      socket.destroy();
      return;
    }
    refuse(socket, PARSER_ERRORS[error.code ?? ""] ?? "request_malformed");
  });
  server.on("connect", (_incoming: IncomingMessage, socket: Socket) =>
    refuse(socket, "request_malformed"),
  );
  server.on("checkExpectation", (incoming: IncomingMessage, outgoing: ServerResponse) =>
    server.emit("request", incoming, outgoing),
  );
}

function refuse(socket: Socket, code: ErrorCode): void {
  socket.on("error", () => socket.destroy());
  socket.write(rawRefusal(code, requestIdOf(undefined)));
  socket.resume();
  linger(socket);
}

/** Every open socket: Node's own list of idle ones leaves out those that never sent a request. */
function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

async function stop(
  server: Server,
  sockets: ReadonlySet<Socket>,
  stopping: AbortController,
): Promise<void> {
  for (const socket of sockets) closeAfterAnswer(socket);
  stopping.abort();
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const idle = setInterval(() => {
    for (const socket of sockets) if (answering(socket) === undefined) socket.destroySoon();
  }, 25);
  const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
  await closed;
  clearInterval(idle);
  clearTimeout(grace);
}

/** Tells a client whose answer is still to come that no other request goes over this socket. */
function closeAfterAnswer(socket: Socket): void {
  const answer = answering(socket);
  if (answer?.headersSent === false) answer.setHeader("connection", "close");
}

/** The answer being written to the socket, which Node keeps there. */
function answering(socket: Socket): ServerResponse | undefined {
  return (Reflect.get(socket, "_httpMessage") as ServerResponse | null | undefined) ?? undefined;
}
