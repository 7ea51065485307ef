import type { Edit } from "../mutants/edit.ts";
import { SDK } from "./files.ts";
import type { Profile } from "./profile.ts";

/** A lease of the store's own length; runs whose test says another keep that. */
const leaseOf = (leaseMs: string): Edit => ({
  file: "core/src/limits.ts",
  search: "leaseMs: 60_000 };",
  replace: `leaseMs: ${leaseMs} };`,
});

/** Whoever lets a lease lapse loses it soon: the test's own server sweeps. */
const sweeping: Edit = {
  file: "core/test/support/database.ts",
  search: "checkAnswers: true, sweeps: false });",
  replace: "checkAnswers: true, sweeps: true, sweepEveryMs: 200, sweepGraceMs: 0 });",
};

/** Leases of a second, of which a third may pass between two heartbeats. */
export const lease1s: Profile = {
  id: "lease-1s",
  title: "leases of 1 s that are swept at once",
  edits: [leaseOf("1_000"), sweeping],
  files: SDK,
  telling: 3,
  besides: {},
};

/** Leases that a busy machine loses: what fails here is held against the control arm. */
export const lease250ms: Profile = {
  ...lease1s,
  id: "lease-250ms",
  title: "leases of 250 ms that are swept at once",
  edits: [leaseOf("250"), sweeping],
  control: "lease-control",
  besides: {
    "a step that finished while the server was away is recorded when it is back, and not repeated":
      "the server is away for longer than the lease",
    "twenty children and twenty steps in parallel, with steps of their own, all come to their end":
      "all of it at once keeps the process from its heartbeats for longer than the lease",
  },
};

/** The same files and the same sweeps with the leases as they are: must be clean, else the shortest show nothing. */
export const leaseControl: Profile = {
  ...lease1s,
  id: "lease-control",
  title: "the control arm of the short leases: 60 s",
  edits: [sweeping],
};
