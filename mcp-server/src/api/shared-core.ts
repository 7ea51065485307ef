import type { Actor, Backend, Core } from "@tidebase/core";

/** The one core of a process, which may be exchanged while calls are under way. */
export interface SharedCore {
  /** Works on the core of the moment; closing it closes every core. */
  readonly backend: Backend;
  /** The next calls go to this core; the one before is closed when its calls are answered. */
  exchange(next: Core): void;
}

/** So that a process that begins to serve its store pulses and sweeps once, not twice. */
export function shareCore(first: Core, actor: Actor): SharedCore {
  let current = first;
  const opened = [first];
  const closing = new Map<Core, Promise<void>>();
  const calls = new Set<Promise<unknown>>();

  function shut(core: Core): Promise<void> {
    const closed = closing.get(core) ?? core.close();
    closing.set(core, closed);
    return closed;
  }

  const backend: Backend = {
    execute(operation, input) {
      const call = current.execute(operation, input, actor);
      const done = () => calls.delete(call);
      calls.add(call);
      call.then(done, done);
      return call;
    },
    async close() {
      await Promise.all(opened.map(shut));
    },
  };

  function exchange(next: Core): void {
    const before = current;
    current = next;
    opened.push(next);
    Promise.allSettled([...calls])
      .then(() => shut(before))
      .catch(() => {}); // whoever closes the backend is told
  }
  return { backend, exchange };
}
