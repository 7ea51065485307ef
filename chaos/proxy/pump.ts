import type { Socket } from "node:net";

/** What a link says of the bytes of one direction. */
export interface Course {
  /** What may go on of a chunk; undefined: the connection is to be reset. */
  through(chunk: Buffer): Buffer | undefined;
  /** How long the next chunk waits, ms. */
  waitMs(): number;
  /** Whether nothing passes now. */
  isHeld(): boolean;
  reset(): void;
}

/** One direction of a connection. */
export interface Pump {
  /** Bytes that have come and not gone on. */
  readonly held: number;
  /** Passes what may pass; called again when that has changed. */
  flow(): void;
  /** Forgets what has not gone on. */
  stop(): void;
}

/** From then on the sender is not read until some has gone on. */
const HELD_MAX = 256 * 1024;

/** A chunk, or the end of the stream, and the instant from which it may go on. */
interface Parcel {
  readonly chunk: Buffer | undefined;
  readonly due: number;
}

/** Passes bytes and the end on, in order. A receiver that is slow slows the sender down. */
export function openPump(from: Socket, to: Socket, course: Course): Pump {
  const parcels: Parcel[] = [];
  let held = 0;
  let isFull = false;
  let timer: NodeJS.Timeout | undefined;

  function flow(): void {
    clearTimeout(timer);
    while (!isFull && !course.isHeld()) {
      const [parcel] = parcels;
      if (parcel === undefined) break;
      const leftMs = parcel.due - performance.now();
      if (leftMs > 0) {
        timer = setTimeout(flow, leftMs);
        break;
      }
      parcels.shift();
      pass(parcel.chunk);
    }
    if (held < HELD_MAX) from.resume();
  }

  function pass(chunk: Buffer | undefined): void {
    if (chunk === undefined) to.end();
    else {
      held -= chunk.length;
      isFull = !to.write(chunk as Uint8Array);
    }
  }

  function take(chunk: Buffer | undefined): void {
    const due = Math.max(parcels.at(-1)?.due ?? 0, performance.now() + course.waitMs());
    parcels.push({ chunk, due });
    held += chunk?.length ?? 0;
    if (held >= HELD_MAX) from.pause();
    flow();
  }

  from.on("data", (chunk: Buffer) => {
    const going = course.through(chunk);
    if (going === undefined) course.reset();
    else if (going.length > 0) take(going);
  });
  from.on("end", () => take(undefined));
  to.on("drain", () => {
    isFull = false;
    flow();
  });
  return {
    get held() {
      return held;
    },
    flow,
    stop() {
      clearTimeout(timer);
      parcels.length = 0;
      held = 0;
    },
  };
}
