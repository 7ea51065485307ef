import { now } from "../history/evidence.ts";
import type { EndedLife, Life } from "./life.ts";
import type { Place } from "./place.ts";
import { badEnd } from "./trial.ts";

/** Everything of a trial but the store: one of its processes is under test. */
export interface Cast {
  readonly url: string;
  /** Starts the process under test; it may be begun again after it has ended. */
  begin(at: Place | undefined): Life;
  /** Called once a process under test is ready: what depends on it. */
  open?(): void;
  /** Called at rest: what depends on it leaves before it ends. */
  leave?(): Promise<void>;
  close(): Promise<void>;
}

/** The process under test, begun again whenever it dies. */
export interface Troupe {
  /** Aborted when it ended as nobody meant it: nothing is to be waited for. */
  readonly signal: AbortSignal;
  died(): EndedLife | undefined;
  problems(): readonly string[];
  /** Ends it. Where that killed it at its place, it is begun again, `rested` and ended once more. */
  stop(rested: () => Promise<readonly string[]>): Promise<{ points?: number; restAt?: number }>;
  kill(): void;
}

/** Begins the process under test, to die at the place or never; `onDeath` is called while it is dead. */
export function keepAlive(cast: Cast, at: Place | undefined, onDeath: () => Promise<void>): Troupe {
  const broken = new AbortController();
  const problems: string[] = [];
  let died: EndedLife | undefined;
  let isStopping = false;
  let life = begin(at);
  const watched = watch();

  function begin(place: Place | undefined): Life {
    const begun = cast.begin(place);
    void begun.ready.then((isReady) => isReady && cast.open?.());
    return begun;
  }

  /** Resolves with the last life's end, once it was told to stop. */
  async function watch(): Promise<EndedLife> {
    for (;;) {
      const ended = await life.ended;
      const isKilled = ended.died !== undefined && died === undefined;
      if (isKilled) died = ended;
      if (isStopping || (!isKilled && ended.signal === "SIGKILL")) return ended;
      if (!isKilled) {
        problems.push(badEnd(ended));
        broken.abort();
        return ended;
      }
      await onDeath();
      if (isStopping) return ended;
      life = begin(undefined);
    }
  }

  /** Whoever has not said so yet would be ended by the signal itself. */
  async function untilReady(): Promise<void> {
    for (let waited: Life | undefined; waited !== life; ) {
      waited = life;
      await waited.ready;
    }
  }

  return {
    signal: broken.signal,
    died: () => died,
    problems: () => problems,
    async stop(rested) {
      await untilReady();
      isStopping = true;
      life.stop();
      const ended = await watched;
      if (ended.died === undefined) {
        if (ended.code !== 0 && problems.length === 0) problems.push(badEnd(ended));
        return ended.passed === undefined ? {} : { points: ended.passed };
      }
      await onDeath();
      life = begin(undefined);
      await life.ready;
      const left = await rested();
      problems.push(...left.map((what) => `not at rest after a crash at the end: ${what}`));
      const restAt = now();
      life.stop();
      const last = await life.ended;
      if (last.code !== 0) problems.push(badEnd(last));
      return { restAt };
    },
    kill: () => life.kill(),
  };
}
