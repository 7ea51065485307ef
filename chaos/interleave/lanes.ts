import pg from "pg";

/** A statement of a lane that waits to be sent. */
export interface Parked {
  /** As core names it, else how it begins. */
  readonly label: string;
  /** It writes nothing and locks nothing: two of them commute. */
  readonly isRead: boolean;
}

/** One of the operations that act at once: none of its statements is sent before it is released. */
export interface Lane {
  readonly name: string;
  /** Whoever connects with it works in this lane. */
  readonly url: string;
  /** `flying`: its statement is out, or it thinks about the next one. */
  readonly state: "parked" | "flying" | "done";
  readonly parked: Parked | undefined;
  /** The process id of the backend that executes its statement now. */
  readonly backend: number | undefined;
  readonly isInTransaction: boolean;
  /** How often Postgres ended one of its statements as part of a deadlock, ever. */
  readonly deadlocks: number;
  /** What its work said, or `threw` and why. */
  readonly answer: string;
  /** Begins to work; every statement is parked until the work has ended. */
  start(work: () => Promise<string>): void;
  /** Sends the parked statement. */
  release(): void;
  /** Whether it is parked or done, at latest after so many milliseconds. */
  isStill(ms: number): Promise<boolean>;
  close(): void;
}

/** A place for parked statements; `park` resolves to what the statement says once it is sent. */
interface Yard {
  isOpen(): boolean;
  noted(text: string): void;
  park(client: pg.Client, text: string, send: () => Promise<unknown>): Promise<unknown>;
}

/** Yards by the application name of their connections. */
const yards = new Map<string, Yard>();
const original: unknown = pg.Client.prototype.query;
let opened = 0;

/**
 * Statements that belong to no operation (hints, the pulse, the audit trail, the setting up of a connection), and `begin`,
 * which takes neither snapshot nor lock: sent at once.
 */
const PASSES =
  /^(?:begin|listen|unlisten)\b|\/\* (?:events\.notify|sweeps\.pulse|audit\.append) \*\/|plan_cache_mode/;
const WRITES =
  /\b(?:insert|update|delete|share|commit|rollback|pg_advisory_xact_lock)\b|tidebase\.(?:claim|forget|erase|make_runs)\(/i;

/** A lane on this database; until it is closed, `query` of every client looks whose it is. */
export function openLane(databaseUrl: string, name: string): Lane {
  opened += 1;
  const id = `lane-${process.pid}-${opened}`;
  const url = new URL(databaseUrl);
  url.searchParams.set("application_name", id);
  const lane = new OpenLane(name, url.href, () => {
    yards.delete(id);
    if (yards.size === 0) install(original);
  });
  if (yards.size === 0) install(parking);
  yards.set(id, lane);
  return lane;
}

function install(query: unknown): void {
  Object.defineProperty(pg.Client.prototype, "query", {
    value: query,
    configurable: true,
    writable: true,
  });
}

function parking(this: pg.Client, ...given: unknown[]): unknown {
  const send = (): unknown => Reflect.apply(original as () => unknown, this, given);
  const yard = yards.get(applicationOf(this));
  const text = textOf(given[0]);
  if (yard === undefined || text === undefined || !yard.isOpen()) return send();
  yard.noted(text);
  if (PASSES.test(text)) return send();
  const told = given.findIndex((one) => typeof one === "function");
  if (told < 0) return yard.park(this, text, send as () => Promise<unknown>);
  const call = given[told] as (...answer: unknown[]) => void;
  const heard = (resolve: () => void): unknown =>
    Reflect.apply(
      original as () => unknown,
      this,
      given.with(told, (...answer: unknown[]) => {
        resolve();
        call(...answer);
      }),
    );
  return void yard.park(this, text, () => new Promise<void>(heard));
}

function applicationOf(client: pg.Client): string {
  const parameters: unknown = Reflect.get(client, "connectionParameters");
  return String((parameters as { application_name?: string } | undefined)?.application_name);
}

function textOf(query: unknown): string | undefined {
  const text: unknown = typeof query === "string" ? query : (query as { text?: unknown }).text;
  return typeof text === "string" ? text.trim() : undefined;
}

function labelOf(text: string): string {
  return /\/\* (\S+) \*\//.exec(text)?.[1] ?? text.slice(0, 48);
}

class OpenLane implements Lane, Yard {
  readonly name: string;
  readonly url: string;
  readonly close: () => void;
  isInTransaction = false;
  deadlocks = 0;
  answer = "";
  backend: number | undefined;
  private readonly queue: (Parked & { go(): void })[] = [];
  private flights = 0;
  private isWorking = false;
  private changed = (): void => {};

  constructor(name: string, url: string, close: () => void) {
    this.name = name;
    this.url = url;
    this.close = close;
  }

  get state(): Lane["state"] {
    if (!this.isWorking) return "done";
    return this.flights === 0 && this.queue.length > 0 ? "parked" : "flying";
  }

  get parked(): Parked | undefined {
    return this.queue[0];
  }

  isOpen(): boolean {
    return this.isWorking;
  }

  noted(text: string): void {
    if (/^begin\b/i.test(text)) this.isInTransaction = true;
  }

  async park(client: pg.Client, text: string, send: () => Promise<unknown>): Promise<unknown> {
    await new Promise<void>((go) => {
      this.queue.push({ label: labelOf(text), isRead: !WRITES.test(text), go });
      this.changed();
    });
    this.backend = Number(Reflect.get(client, "processID"));
    try {
      return await send();
    } catch (error) {
      if ((error as { code?: string }).code === "40P01") this.deadlocks += 1;
      throw error;
    } finally {
      if (/^(?:commit|rollback)/i.test(text)) this.isInTransaction = false;
      this.flights -= 1;
      this.backend = undefined;
      this.changed();
    }
  }

  start(work: () => Promise<string>): void {
    this.isWorking = true;
    const ended = (said: string): void => {
      this.answer = said;
      this.isWorking = false;
      this.changed();
    };
    work().then(ended, (error: unknown) => ended(`threw ${String(error)}`));
  }

  release(): void {
    this.flights += 1;
    this.queue.shift()?.go();
  }

  async isStill(ms: number): Promise<boolean> {
    if (this.state !== "flying") return true;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
      this.changed = () => this.state !== "flying" && resolve();
    });
    clearTimeout(timer);
    return this.state !== "flying";
  }
}
