/** What the children of the harness inherit: nothing that says where a store is, or how it is to be served. */
export function inherited(): Record<string, string> {
  const ours = /^(?:TIDEBASE_|CHAOS_|DATABASE_URL$|PG|PORT$|NODE_OPTIONS$|VITEST)/;
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || ours.test(name) ? [] : [[name, value]],
    ),
  );
}

/** What a server of a trial is told besides what every server reads. */
export interface ServerSettings {
  readonly environment: NodeJS.ProcessEnv;
  /** Connections at most; the store's own default when undefined. */
  readonly poolMax: number | undefined;
  readonly sweepGraceMs: number | undefined;
  readonly sweepEveryMs: number | undefined;
}

/** Reads CHAOS_POOL_MAX, CHAOS_SWEEP_GRACE_MS and CHAOS_SWEEP_EVERY_MS. */
export function readServerSettings(): ServerSettings {
  const { env } = process;
  const number = (name: string) => (env[name] === undefined ? undefined : Number(env[name]));
  return {
    environment: env,
    poolMax: number("CHAOS_POOL_MAX"),
    sweepGraceMs: number("CHAOS_SWEEP_GRACE_MS"),
    sweepEveryMs: number("CHAOS_SWEEP_EVERY_MS"),
  };
}
