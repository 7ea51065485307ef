import { Buffer } from "node:buffer";
import { META_VERSION, type Notes, VIEWS } from "./meta.ts";
import { UndecodableOutput } from "./refusals.ts";

type Members = Record<string, unknown>;

/** One member to be read: what is stored, the note on it, and where the value belongs. */
interface Task {
  readonly json: unknown;
  readonly note: unknown;
  readonly holder: Members;
  readonly key: string;
}

const ERRORS: ReadonlyMap<string, new () => Error> = new Map<string, new () => Error>([
  ["TypeError", TypeError],
  ["RangeError", RangeError],
  ["SyntaxError", SyntaxError],
  ["ReferenceError", ReferenceError],
  ["EvalError", EvalError],
  ["URIError", URIError],
  [
    "AggregateError",
    class extends AggregateError {
      constructor() {
        super([]);
        Object.setPrototypeOf(this, AggregateError.prototype);
      }
    },
  ],
]);

/**
 * The value that `encode` was given, from its two texts after `JSON.parse`. Without a meta (null or
 * undefined) that is `json` itself. With one, the branches it names are copied and the others are
 * shared with `json`, which is never changed. Nothing stored can run code or reach a prototype.
 * Throws UndecodableOutput for a meta of another version or one that does not fit the JSON.
 */
export function decode(json: unknown, meta: unknown): unknown {
  if (meta === null || meta === undefined) return json;
  if (!isMembers(meta) || meta["v"] !== META_VERSION)
    throw new UndecodableOutput(
      `its notes are of version ${isMembers(meta) ? show(meta["v"]) : show(meta)} and this SDK reads version ${META_VERSION}; a newer SDK may have written it`,
    );
  const root: Members = { "": json };
  new Reading().run({ json, note: meta["/"], holder: root, key: "" });
  return root[""];
}

class Reading {
  readonly #tasks: Task[] = [];
  readonly #objects = new Map<number, unknown>();
  /** Where an object stands that is made elsewhere; set when all objects are there. */
  readonly #references: { readonly id: number; readonly holder: Members; readonly key: string }[] =
    [];
  /** Maps, Sets and Errors are filled last, when everything that belongs in them is there. */
  readonly #fillings: (() => void)[] = [];

  run(root: Task): void {
    for (let task: Task | undefined = root; task !== undefined; task = this.#tasks.pop())
      this.#read(task);
    for (const { id, holder, key } of this.#references) {
      if (!this.#objects.has(id))
        throw new UndecodableOutput(`object ${show(id)} is nowhere in it`);
      holder[key] = this.#objects.get(id);
    }
    for (const fill of this.#fillings) fill();
  }

  #read({ json, note, holder, key }: Task): void {
    if (note === undefined) return;
    const notes: unknown = typeof note === "string" ? { is: note } : note;
    if (!isMembers(notes)) throw new UndecodableOutput(`a note on it is ${show(note)}`);
    const { is, id, same } = notes as Notes;
    if (same !== undefined) {
      this.#references.push({ id: same, holder, key });
      return;
    }
    const value = is === undefined ? this.#parts(json, notes) : this.#tagged(is, json, notes);
    holder[key] = value;
    if (id === undefined) return;
    if (typeof id !== "number" || this.#objects.has(id) || !isObject(value))
      throw new UndecodableOutput(`${show(id)} is not the number of one object`);
    this.#objects.set(id, value);
  }

  /** A copy of the stored array or object whose noted members will be replaced by later tasks. */
  #parts(json: unknown, notes: Members): Members {
    if (!isObject(json)) throw new UndecodableOutput("notes on members stand where there are none");
    // A spread makes every own key, `__proto__` too, an own member, which an assignment then meets.
    const parts = (Array.isArray(json) ? [...json] : { ...json }) as Members;
    for (const [slashed, note] of Object.entries(notes)) {
      if (!slashed.startsWith("/")) continue;
      const key = slashed.slice(1);
      if (!Object.hasOwn(parts, key) || (Array.isArray(parts) && key === "length"))
        throw new UndecodableOutput(`a note names the member ${show(key)}, which is missing`);
      this.#tasks.push({ json: parts[key], note, holder: parts, key });
    }
    return parts;
  }

  #tagged(tag: string, json: unknown, notes: Members): unknown {
    if (tag === "Map" || tag === "Set") {
      const parts = this.#parts(json, notes) as unknown;
      if (!Array.isArray(parts)) throw misfit(tag);
      return tag === "Set" ? this.#set(parts) : this.#map(parts);
    }
    if (tag !== "Error") return scalar(tag, json);
    if (!isMembers(json)) throw misfit(tag);
    const parts = this.#parts(json, notes);
    const { name } = json;
    if (typeof name !== "string") throw misfit(tag);
    const error = new (ERRORS.get(name) ?? Error)();
    this.#fillings.push(() => fillError(error, parts));
    return error;
  }

  #set(parts: readonly unknown[]): Set<unknown> {
    const made = new Set<unknown>();
    this.#fillings.push(() => {
      for (const member of parts) made.add(member);
    });
    return made;
  }

  #map(parts: readonly unknown[]): Map<unknown, unknown> {
    const made = new Map<unknown, unknown>();
    this.#fillings.push(() => {
      for (const pair of parts) {
        if (!Array.isArray(pair) || pair.length !== 2) throw misfit("Map");
        made.set(pair[0], pair[1]);
      }
    });
    return made;
  }
}

/** Members as the runtime gives them: only `code` shows when an error is listed, as in Node's own. */
function fillError(error: Error, parts: Members): void {
  for (const key of ["name", "message", "stack"])
    if (Object.hasOwn(parts, key) && typeof parts[key] !== "string") throw misfit("Error");
  Reflect.deleteProperty(error, "stack");
  for (const key of ["name", "message", "stack", "code", "cause", "errors"]) {
    if (!Object.hasOwn(parts, key)) continue;
    const value = parts[key];
    if ((key === "name" || key === "message") && Reflect.get(error, key) === value) continue;
    Object.defineProperty(error, key, {
      value,
      enumerable: key === "code",
      writable: true,
      configurable: true,
    });
  }
}

function scalar(tag: string, json: unknown): unknown {
  switch (tag) {
    case "undefined":
      return undefined;
    case "NaN":
    case "Infinity":
    case "-Infinity":
      return Number(tag);
    case "-0":
      return -0;
    case "BigInt":
      if (typeof json !== "string" || !/^-?\d+$/.test(json)) throw misfit(tag);
      return BigInt(json);
    case "Date":
      if (json !== null && typeof json !== "string") throw misfit(tag);
      return new Date(json ?? Number.NaN);
    default:
      return bytes(tag, json);
  }
}

function bytes(tag: string, json: unknown): unknown {
  const view = VIEWS.get(tag);
  if (view === undefined && tag !== "Buffer" && tag !== "ArrayBuffer")
    throw new UndecodableOutput(`this SDK knows no ${show(tag)}`);
  if (typeof json !== "string") throw misfit(tag);
  const buffer = Buffer.from(json, "base64");
  if (tag === "Buffer") return buffer;
  const own = new ArrayBuffer(buffer.length); // aligned, and not a window into Node's pool
  new Uint8Array(own).set(buffer);
  if (view === undefined) return own;
  try {
    return view(own);
  } catch (error) {
    throw misfit(tag, { cause: error });
  }
}

function misfit(tag: string, options?: ErrorOptions): UndecodableOutput {
  return new UndecodableOutput(`the JSON noted as ${show(tag)} has not the form of one`, options);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isMembers(value: unknown): value is Members {
  return isObject(value) && !Array.isArray(value);
}

/** A stored value in a message: short, whatever it is. */
function show(value: unknown): string {
  return isObject(value) ? "an object" : (JSON.stringify(value)?.slice(0, 100) ?? "missing");
}
