/** A TCP link whose traffic can be hurt while it goes on; every rule holds until `heal`, also for connections made later. */
export interface Link {
  readonly port: number;
  /** Connections open now. */
  readonly open: number;
  /** Resets every connection now. */
  cut(): void;
  /** Delays each chunk by a random time of up to so many ms, in both directions, in order. */
  delay(maxMs: number): void;
  /** Nothing passes in either direction, and nobody is told: a silent partition. What was held back passes after `heal`. */
  hole(): void;
  /** Bytes that have come and not gone on. */
  readonly held: number;
  /** Refuses new connections, and resets the open ones. */
  refuse(): void;
  /**
   * Resets a connection after its request has been handed on and before the answer passes, once for each
   * `every`-th request. On the database link a request is a COMMIT or a statement that commits by itself; on the front
   * link it is an HTTP request other than GET.
   */
  loseAnswers(every: number): void;
  /** How often `loseAnswers` did it. */
  readonly lost: number;
  /** On the database link: notifications are dropped, and who listens hears nothing of it. */
  deafen(): void;
  /** How many notifications `deafen` dropped. */
  readonly unheard: number;
  heal(): void;
  close(): Promise<void>;
}
