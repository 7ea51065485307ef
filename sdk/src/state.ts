import type { AttemptWrites } from "./attempt-writes.ts";
import { plainJson } from "./encoding/plain-json.ts";
import type { Lease } from "./leases/lease.ts";
import type { Operations } from "./operations.gen.ts";
import { unheard } from "./unheard.ts";

/** What a version may say of itself. */
export interface StateRemark {
  /** Names the version, for people and for time travel. */
  readonly label?: string;
  readonly reason?: string;
  readonly importance?: "transient" | "normal" | "checkpoint" | "milestone";
  /** Something outside that the version is a snapshot of. */
  readonly target?: { readonly type: string; readonly id: string };
  /** Names this write, where content and order in the attempt do not tell it apart from others. */
  readonly key?: string;
}

/** How a version is written. */
export interface StateWriteOptions extends StateRemark {
  /** Refused with `version_conflict` unless the stream is at this version; 0 = never written. */
  readonly expectVersion?: number;
  readonly createdBy?: string;
}

/** The version that a write made, or had made before. */
export interface StateWritten {
  readonly version: number;
  /** True when an earlier attempt, or a lost answer, had written it before: nothing changed. */
  readonly recorded: boolean;
}

/** A document, or a part of it, with its version. */
export type StateRead = Operations["state.read"]["output"];
/** A page of versions without their documents. */
export type StateVersions = Operations["state.versions"]["output"];

/**
 * A stream of versions of one JSON document. Every write carries a key, so that a resumed run,
 * which makes its writes again, changes nothing and never moves its state backwards: outside of
 * steps the key is made from the content and from how often this attempt has written the same,
 * inside a step from the step's attempt. Clocks and random ids belong inside steps.
 */
export class RunState {
  readonly #lease: Lease;
  readonly #writes: AttemptWrites;
  readonly #stream: string;

  constructor(lease: Lease, writes: AttemptWrites, stream = "state") {
    this.#lease = lease;
    this.#writes = writes;
    this.#stream = stream;
  }

  /** Another stream of the run, with versions of its own. */
  stream(name: string): RunState {
    return new RunState(this.#lease, this.#writes, name);
  }

  /** Replaces the document. It must be plain JSON: `state_not_json` otherwise. */
  set(value: unknown, options: StateWriteOptions = {}): Promise<StateWritten> {
    return this.#write("set", value, options);
  }

  /** Merges into the document (RFC 7386): null removes a member, arrays are replaced. */
  patch(patch: unknown, options: StateWriteOptions = {}): Promise<StateWritten> {
    return this.#write("patch", patch, options);
  }

  /** Labels the current version, or `version`, without changing it. */
  save(
    label: string,
    options: Omit<StateRemark, "label"> & { readonly version?: number } = {},
  ): Promise<StateWritten> {
    const { key, ...remark } = options;
    const writeKey = key ?? this.#writeKey("label", [label, options.version]);
    return this.#writes.send("state.label", { ...this.#own(), ...remark, label, writeKey });
  }

  /** The document now; undefined while nothing was ever written. */
  get(): Promise<unknown> {
    return unheard(this.read().then(({ found, value }) => (found ? value : undefined)));
  }

  /** The document of a version. Throws `version_not_found`. */
  at(version: number): Promise<unknown> {
    return unheard(this.read({ version }).then(({ value }) => value));
  }

  /** The document, or the part of it at a JSON Pointer, with its version. */
  read(which: { readonly version?: number; readonly path?: string } = {}): Promise<StateRead> {
    return this.#writes.ask("state.read", { ...this.#which(), ...which });
  }

  /** The versions without their documents, newest first; `before` asks for the next page. */
  versions(
    page: { readonly labeled?: boolean; readonly before?: number; readonly limit?: number } = {},
  ): Promise<StateVersions> {
    const { labeled, ...rest } = page;
    const only = labeled === undefined ? {} : { labeled: String(labeled) };
    return this.#writes.ask("state.versions", { ...this.#which(), ...rest, ...only });
  }

  /** The JSON Patch (RFC 6902) that turns one version into another. */
  diff(from: number, to: number): Promise<readonly Record<string, unknown>[]> {
    const asked = this.#writes.ask("state.diff", { ...this.#which(), from, to });
    return unheard(asked.then(({ patch }) => patch));
  }

  /** Appends a version that equals an older one; nothing is taken back. */
  restore(version: number, options: StateWriteOptions = {}): Promise<StateWritten> {
    const reason = `restored from version ${version}`;
    return unheard(this.at(version).then((value) => this.set(value, { reason, ...options })));
  }

  #write(kind: "set" | "patch", value: unknown, options: StateWriteOptions): Promise<StateWritten> {
    const { key, ...rest } = options;
    const plain = plainJson(value, "state_not_json", `state.${kind}`);
    const writeKey = key ?? this.#writeKey(kind, [plain, options.label]);
    return this.#writes.send("state.write", {
      ...this.#own(),
      ...rest,
      kind,
      value: plain,
      writeKey,
    });
  }

  #writeKey(kind: string, content: unknown): string {
    return this.#writes.keyOf([kind, this.#stream, content]);
  }

  #own() {
    return { ...this.#lease, stream: this.#stream };
  }

  #which() {
    return { runId: this.#lease.runId, stream: this.#stream };
  }
}
