import type { Check } from "./check.ts";
import { movesOf } from "./lifecycle.ts";
import { logs } from "./log.ts";
import { indexed, text } from "./rows.ts";

const ID = "C8";

/** The log of each run is a way through the state table of model.md §1, and ends where its row says. */
export const lifecycle: Check = {
  id: ID,
  promises: ["P10"],
  rule: "Each event may happen in the status that the run had; nothing but audit follows a final one.",
  find(evidence) {
    const stored = indexed(evidence, "runs", "run_id");
    return [...logs(evidence)].flatMap(([run, log]) => {
      const moves = movesOf(log);
      const illegal = moves.find(({ legal }) => !legal);
      if (illegal !== undefined) {
        const { entry, from } = illegal;
        const message = `Run ${run}: event ${entry.seq}, ${entry.type}, came while it was ${from}.`;
        return [{ check: ID, key: run, message }];
      }
      const status = stored.get(run)?.["status"];
      const last = moves.at(-1)?.to ?? "none";
      const message = `Run ${run} is ${text(status)}, but its log ends in ${last}.`;
      return status === undefined || status === last ? [] : [{ check: ID, key: run, message }];
    });
  },
};
