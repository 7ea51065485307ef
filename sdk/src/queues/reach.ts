import type { Config } from "../config.ts";
import { isTidebaseError } from "../errors.ts";

/** One try may fail for a server that is just being restarted: that is not worth a line. */
const SAY_AFTER = 2;

/** Says once that the server does not answer, or refuses, and once that it answers again. */
export class Reach {
  readonly #log: Config["log"];
  #said: string | undefined;

  constructor({ log }: Pick<Config, "log">) {
    this.#log = log;
  }

  answered(): void {
    if (this.#said !== undefined) this.#log("The server answers this worker again.");
    this.#said = undefined;
  }

  failed(error: unknown, failures: number): void {
    const code = isTidebaseError(error) ? error.code : String(error);
    if (failures < SAY_AFTER || this.#said === code) return;
    this.#said = code;
    const why = error instanceof Error ? error.message : String(error);
    this.#log(`This worker cannot claim runs and tries again until it can. ${why}`);
  }
}
