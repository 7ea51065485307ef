import * as children from "../../src/children/sql.ts";
import * as cleanups from "../../src/cleanups/sql.ts";
import * as deliveries from "../../src/deliveries/sql.ts";
import * as events from "../../src/events/sql.ts";
import * as proofs from "../../src/gates/proofs-sql.ts";
import * as gates from "../../src/gates/sql.ts";
import * as leases from "../../src/leases/sql.ts";
import * as queues from "../../src/queues/sql.ts";
import * as recovery from "../../src/recovery/sql.ts";
import * as retention from "../../src/retention/sql.ts";
import * as cancelling from "../../src/runs/cancel-sql.ts";
import * as erasing from "../../src/runs/erase-sql.ts";
import * as listing from "../../src/runs/list-sql.ts";
import * as runs from "../../src/runs/sql.ts";
import * as schedules from "../../src/schedules/sql.ts";
import * as state from "../../src/state/sql.ts";
import type { Statement } from "../../src/statement.ts";
import * as steps from "../../src/steps/sql.ts";
import * as usage from "../../src/usage/sql.ts";
import * as waits from "../../src/waits/sql.ts";

/** What workers send all day long, and the lists that people look at while they do: each reaches every row by a key. */
export const hot: Statement<never, unknown>[] = [
  ...[steps.begin, steps.complete, steps.fail, steps.journal],
  ...(steps.complete.lone === undefined ? [] : [steps.complete.lone as Statement<never, unknown>]),
  ...[leases.begin, leases.heartbeat, leases.release, leases.complete, leases.fail],
  ...[state.write, state.label, leases.interrupt, recovery.recover],
  ...[queues.claim, leases.leaseStatus, cancelling.cancel, cancelling.pastDeadline],
  ...[cancelling.unclaimed, cancelling.setDeadline, cleanups.begin],
  ...[cleanups.end, cancelling.orphans],
  ...[children.limitKeys, children.create, children.list],
  ...[waits.suspend, waits.setTimer, waits.sendSignal, waits.takeSignal, waits.wake],
  ...[
    gates.open,
    gates.get,
    gates.asked,
    gates.votes,
    gates.vote,
    gates.decide,
    gates.extend,
    gates.expire,
  ],
  ...[schedules.due, schedules.fire, schedules.failed, schedules.get, schedules.remove],
  ...[usage.record, usage.list, usage.totalsOfRuns, usage.totalsOfStore],
  ...[erasing.erase, retention.setDays, retention.page, retention.forget],
  ...[proofs.issue, proofs.find, proofs.spend, proofs.miss],
  ...[runs.get, listing.list, listing.listOfWorkflow, listing.listOfQueue, listing.listTagged],
  ...[listing.listChildren, listing.listForks, gates.list, gates.listOfRun, deliveries.listOfRun],
  ...[events.list, usage.totalsOfWorkflows],
];
