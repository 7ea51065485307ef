import { type Kind, kindOf, refusalOf, typeName } from "./kinds.ts";
import { MAX_DEPTH, META_VERSION, type Meta, type Notes } from "./meta.ts";
import { UnserializableOutput } from "./refusals.ts";

/** An array or object being written. The chain of parents is the stack, and the path. */
interface Place {
  readonly parent: Place | null;
  readonly key: string;
  readonly depth: number;
  /** The objects of the caller that this place stands for. */
  readonly identities: readonly object[];
  readonly source: Readonly<Record<string, unknown>>;
  readonly keys: readonly string[];
  readonly target: Record<string, unknown>;
  next: number;
  notes: Notes | null;
}

type Spot = Pick<Place, "parent" | "key">;

/** A repeated object is written out again while the whole stays below this many values. */
const WRITE_AGAIN_LIMIT = 50_000;

/** What a value is written as: a tree that `JSON.stringify` keeps whole, and the notes beside it. */
export interface Written {
  readonly tree: unknown;
  readonly meta: Meta | null;
}

/**
 * Writes any value in one walk without recursion. With the purpose `keep` it throws
 * UnserializableOutput for what could not be read back. With `compare` (hashing) it never throws:
 * what cannot be kept becomes null with its type name as the note; members come in the order of
 * their names; an object met twice is written twice, and only a cycle is noted as `same`; stacks of
 * errors, which name lines of the code, are left out.
 */
export function write(value: unknown, purpose: "keep" | "compare"): Written {
  return new Walk(purpose === "compare").run(value);
}

class Walk {
  readonly #compare: boolean;
  readonly #seen = new Map<object, Spot>();
  readonly #meta: Meta = { v: META_VERSION };
  #ids = 0;
  #values = 0;

  constructor(compare: boolean) {
    this.#compare = compare;
  }

  run(value: unknown): Written {
    const root: Place = {
      parent: null,
      key: "",
      depth: 0,
      identities: [],
      source: { "": value },
      keys: [""],
      target: {},
      next: 0,
      notes: this.#meta,
    };
    for (let at: Place | null = root; at !== null; ) {
      const key: string | undefined = at.keys[at.next++];
      if (key === undefined) at = this.#leave(at);
      else at = this.#member(at, key) ?? at;
    }
    return { tree: root.target[""], meta: Object.keys(this.#meta).length > 1 ? this.#meta : null };
  }

  #leave(place: Place): Place | null {
    if (this.#compare && this.#values < WRITE_AGAIN_LIMIT)
      for (const identity of place.identities) this.#seen.delete(identity);
    return place.parent;
  }

  /** Writes one member; returns the place to go on at when it has members of its own. */
  #member(at: Place, key: string): Place | undefined {
    this.#values++;
    try {
      return this.#value(at, key, at.source[key]);
    } catch (error) {
      if (error instanceof UnserializableOutput) throw error;
      if (!this.#compare)
        throw new UnserializableOutput(pathOf({ parent: at, key }), {
          is: `a member that threw when it was read (${messageOf(error)})`,
          instead: "Return a plain copy of what you need",
          cause: error,
        });
      return this.#note(at, key, "unreadable");
    }
  }

  #value(at: Place, key: string, value: unknown): Place | undefined {
    switch (typeof value) {
      case "string":
      case "boolean":
        return put(at, key, value);
      case "number":
        if (Object.is(value, -0)) return this.#note(at, key, "-0", 0);
        return Number.isFinite(value) ? put(at, key, value) : this.#note(at, key, String(value));
      case "undefined":
        return this.#note(at, key, "undefined");
      case "bigint":
        return this.#note(at, key, "BigInt", value.toString());
      case "object":
        return value === null ? put(at, key, null) : this.#object(at, key, value);
      default:
        return this.#refuse(at, key, value);
    }
  }

  #object(at: Place, key: string, value: object): Place | undefined {
    const known = this.#seen.get(value);
    if (known !== undefined) return this.#again(at, key, known);
    const kind = kindOf(value);
    const says = hasToJson(value) && (kind === undefined || isPlainKind(kind));
    if (kind !== undefined && !says) return this.#kind(at, key, kind, [value]);
    if (!says) return this.#refuse(at, key, value);
    const result: unknown = value.toJSON(key);
    if (typeof result !== "object" || result === null) return this.#value(at, key, result);
    const inner = this.#seen.get(result);
    if (inner !== undefined) return this.#again(at, key, inner);
    const written = kindOf(result);
    if (written === undefined) return this.#refuse(at, key, result);
    return this.#kind(at, key, written, [value, result]);
  }

  #kind(at: Place, key: string, kind: Kind, identities: readonly object[]): Place | undefined {
    if (kind.as === "text") {
      if (!this.#compare)
        for (const identity of identities) this.#seen.set(identity, { parent: at, key });
      return this.#note(at, key, kind.tag, kind.text);
    }
    if (at.depth === MAX_DEPTH) return this.#tooDeep(at, key);
    const target = Array.isArray(kind.parts) ? [] : {};
    if (kind.tag === null) put(at, key, target);
    else this.#note(at, key, kind.tag, target);
    const place: Place = {
      parent: at,
      key,
      depth: at.depth + 1,
      identities,
      source: kind.parts as Readonly<Record<string, unknown>>,
      keys: this.#keysOf(kind),
      target: target as Record<string, unknown>,
      next: 0,
      notes: null,
    };
    for (const identity of identities) this.#seen.set(identity, place);
    return place;
  }

  #keysOf({ tag, parts }: Extract<Kind, { as: "parts" }>): readonly string[] {
    if (Array.isArray(parts)) return Array.from(parts, (_, index) => String(index));
    const keys = Object.keys(parts);
    if (!this.#compare) return keys;
    return (tag === "Error" ? keys.filter((key) => key !== "stack") : keys).sort();
  }

  #again(at: Place, key: string, known: Spot): undefined {
    const notes = known.parent === null ? this.#meta : under(notesOf(known.parent), known.key);
    notes.id ??= ++this.#ids;
    put(at, key, null);
    notesOf(at)[`/${key}`] = { same: notes.id };
  }

  #note(at: Place, key: string, tag: string, json: unknown = null): undefined {
    put(at, key, json);
    notesOf(at)[`/${key}`] = tag;
  }

  #refuse(at: Place, key: string, value: unknown): undefined {
    if (this.#compare) return this.#note(at, key, `unkept ${typeName(value)}`);
    throw new UnserializableOutput(pathOf({ parent: at, key }), refusalOf(value));
  }

  #tooDeep(at: Place, key: string): undefined {
    if (this.#compare) return this.#note(at, key, "unkept depth");
    throw new UnserializableOutput(pathOf({ parent: at, key }), {
      is: `nested deeper than ${MAX_DEPTH} arrays and objects`,
      instead: "Return a flatter value",
    });
  }
}

function hasToJson(value: object): value is { toJSON(key: string): unknown } {
  return "toJSON" in value && typeof value.toJSON === "function";
}

function isPlainKind(kind: Kind): boolean {
  return kind.as === "parts" && kind.tag === null;
}

function put({ target }: Place, key: string, json: unknown): undefined {
  if (key !== "__proto__") target[key] = json;
  else
    Object.defineProperty(target, key, {
      value: json,
      enumerable: true,
      writable: true,
      configurable: true,
    });
}

/** The notes of a place, made on demand up to the nearest ancestor that has some. */
function notesOf(place: Place): Notes {
  const bare: Place[] = [];
  let at = place;
  for (; at.notes === null && at.parent !== null; at = at.parent) bare.push(at);
  let notes = at.notes ?? {};
  for (const each of bare.reverse()) {
    notes = under(notes, each.key);
    each.notes = notes;
  }
  return notes;
}

/** The notes of a member, unfolded from the short form where that was enough until now. */
function under(notes: Notes, key: string): Notes {
  const note = notes[`/${key}`] ?? {};
  const unfolded = typeof note === "string" ? { is: note } : note;
  notes[`/${key}`] = unfolded;
  return unfolded;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : typeof error;
}

/** JSON Pointer (RFC 6901) of a place in the written JSON. */
function pathOf(spot: Spot): string {
  const keys: string[] = [];
  for (let at: Spot | null = spot; at?.parent; at = at.parent) keys.push(at.key);
  const names = keys.reverse().slice(1);
  return names.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
