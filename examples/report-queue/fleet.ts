import { join } from "node:path";
import { type Child, startProgram } from "../research-agent/processes.ts";
import { paint, quote } from "../research-agent/terminal.ts";

/** How every worker of a fleet is started. */
export interface FleetOptions {
  readonly env: Record<string, string>;
  readonly out: string;
  readonly concurrency: number;
  readonly paceMs: number;
}

/** A worker process, once it works. */
export interface WorkerProcess {
  readonly label: string;
  readonly child: Child;
}

/** The worker processes of the demo, numbered as they come. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #working: WorkerProcess[] = [];
  #count = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Those that nobody has ended, the oldest first. */
  get working(): readonly WorkerProcess[] {
    return this.#working;
  }

  /** Resolves when all of them work. Throws with what one said when it ends before. */
  async start(count: number, version: string, defect?: string): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#start(version, defect)));
  }

  /** As the kernel does when memory runs out: it has no time for anything. */
  async kill(): Promise<WorkerProcess> {
    const worker = this.#next();
    quote(worker.label, paint("red", `✗ kill -9 ${worker.child.pid}`));
    worker.child.kill("SIGKILL");
    await worker.child.ended;
    return worker;
  }

  /** As a deployment does: it finishes what it has begun. Gives the milliseconds that took. */
  async drain(): Promise<number> {
    const worker = this.#next();
    const began = Date.now();
    worker.child.kill("SIGTERM");
    await worker.child.ended;
    const ms = Date.now() - began;
    quote(worker.label, `SIGTERM: drained and ended after ${ms} ms`);
    return ms;
  }

  #next(): WorkerProcess {
    const worker = this.#working.shift();
    if (worker === undefined) throw new Error("No worker is left.");
    return worker;
  }

  async #start(version: string, defect: string | undefined): Promise<void> {
    const { env, out, concurrency, paceMs } = this.#options;
    this.#count += 1;
    const label = `worker ${this.#count}`;
    const args = ["--out", out, "--version", version, "--concurrency", String(concurrency)];
    args.push("--pace", String(paceMs), ...(defect === undefined ? [] : ["--defect", defect]));
    await new Promise<void>((resolve, reject) => {
      const child = startProgram(join("examples", "report-queue", "worker.ts"), args, {
        env,
        onLine: (line) => {
          quote(label, `${line} (pid ${child.pid}, version ${version})`);
          this.#working.push({ label, child });
          resolve();
        },
      });
      void child.ended.then(() => reject(new Error(`${label} ended.\n${child.errors()}`)));
    });
  }
}
