/** What a worker of a trial is told by its environment. */
export interface WorkerConfig {
  /** The address of the servers, and the key to them. */
  readonly url: string;
  readonly apiKey: string;
  readonly oracleUrl: string;
  /** Its name with its incarnation, such as `worker2.1`. */
  readonly name: string;
  /** The file that it appends its operations to. */
  readonly log: string;
  readonly leaseMs: number;
  readonly seed: number;
}

/** Reads it. Throws, naming the variable that is missing. */
export function readWorkerConfig(): WorkerConfig {
  return {
    url: variable("CHAOS_URL"),
    apiKey: variable("CHAOS_API_KEY"),
    oracleUrl: variable("CHAOS_ORACLE"),
    name: variable("CHAOS_NAME"),
    log: variable("CHAOS_LOG"),
    leaseMs: Number(variable("CHAOS_LEASE_MS")),
    seed: Number(variable("CHAOS_SEED")),
  };
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set.`);
  return value;
}
