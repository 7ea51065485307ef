import type { Config } from "./config.ts";
import { Heartbeat } from "./leases/heartbeat.ts";
import { LeaseWatch } from "./leases/watch.ts";
import type { Workflow } from "./runs/run.ts";
import { type Call, callsOver, exchangeOver } from "./transport/calls.ts";
import { type Lanes, lanesOver } from "./transport/lanes.ts";
import { openTransport } from "./transport/open.ts";
import type { Transport } from "./transport/transport.ts";

/** Everything the runs of one client share. */
export interface Connection {
  readonly config: Config;
  readonly call: Call;
  readonly lanes: Lanes;
  readonly heartbeat: Heartbeat;
  readonly watch: LeaseWatch;
  readonly transport: Transport;
  /** The registered workflows, by name. */
  readonly workflows: Map<string, Workflow<never, unknown>>;
}

/** A beat that takes longer is as good as lost: another is due. */
const LONGEST_BEAT_MS = 10_000;
const DEFAULT_LEASE_MS = 60_000;

/** Connects with the first call. */
export function openConnection(config: Config): Connection {
  const transport = openTransport(config);
  const exchange = exchangeOver(transport, config.url, config.requestTimeoutMs);
  const beatTimeoutMs = Math.min(LONGEST_BEAT_MS, (config.leaseMs ?? DEFAULT_LEASE_MS) / 3);
  const lanes = lanesOver(exchange, config.giveUpAfterMs, beatTimeoutMs);
  const call = callsOver(exchange);
  const leases = { heartbeat: new Heartbeat(lanes), watch: new LeaseWatch(call) };
  return { config, call, lanes, ...leases, transport, workflows: new Map() };
}
