import { lease1s, lease250ms, leaseControl } from "./leases.ts";
import { delayed, noNotify, replicas, twice } from "./networks.ts";
import type { Profile } from "./profile.ts";
import { page1, pgbouncer, pool2 } from "./stores.ts";

/** Those of reliability.md §2.4. The control arm stands before what is held against it. */
export const profiles: readonly Profile[] = [
  pgbouncer,
  twice,
  replicas,
  pool2,
  page1,
  delayed,
  noNotify,
  lease1s,
  leaseControl,
  lease250ms,
];
