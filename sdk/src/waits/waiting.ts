import type { Connection } from "../connection.ts";
import type { HeldLease } from "../leases/lease.ts";
import type { Steps } from "../steps/steps.ts";
import type { Activity } from "./activity.ts";
import type { Waits } from "./waits.ts";

/** What a wait of one attempt works with. */
export interface Waiting {
  readonly connection: Connection;
  readonly held: HeldLease;
  readonly steps: Steps;
  readonly activity: Activity;
  readonly waits: Waits;
}
