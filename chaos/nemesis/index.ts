import { backendFaults } from "./backends.ts";
import { clockFault } from "./clocks.ts";
import { diskFault } from "./disk.ts";
import { eventLoopFault } from "./event-loop.ts";
import type { Fault } from "./fault.ts";
import { linkFaults } from "./links.ts";
import { lockFault } from "./locks.ts";
import { poisonFault } from "./poison.ts";
import { processFaults } from "./processes.ts";
import { smallServerFaults } from "./small-servers.ts";
import { timeoutFault } from "./timeouts.ts";

/**
 * Every fault of the matrix (reliability.md §2.3) that happens to processes, connections, Postgres or clocks, and F25 besides,
 * rows that cannot be settled. What receivers of webhooks do (F21, F22) is theirs; PgBouncer (F16) is a profile of the ordinary suite.
 */
export const faults: readonly Fault[] = [
  ...processFaults,
  eventLoopFault,
  ...backendFaults,
  ...linkFaults,
  lockFault,
  timeoutFault,
  ...smallServerFaults,
  clockFault,
  diskFault,
  poisonFault,
];
