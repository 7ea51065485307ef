import { expect, test } from "vitest";
import { type Ran, reportOf, textOf } from "../report.ts";

function ran(id: string, more: Partial<Ran["result"]>): Ran {
  return {
    ...{ id, title: id, ms: 1000 },
    result: { tried: 1, promises: {}, problems: [], facts: {}, ...more },
  };
}

test("what trials, crashes and orders show is told apart; only trials bound a rate", () => {
  const stages = [
    ran("interleave", { promises: { P2: 4000 } }),
    ran("trials", { promises: { P10: 600, P2: 2 } }),
  ];
  const report = reportOf(9, stages, 2000);
  expect(report.promises).toEqual({ P2: { interleave: 4000, trials: 2 }, P10: { trials: 600 } });
  const lines = textOf(report).split("\n");
  expect(lines).toContain("P2       4000        2       ");
  expect(lines).toContain("P10                  600     in 0.50 % of trials");
  expect(lines).toContain("seed 9, 2.0 s: clean");
});

test("a stage that tried nothing is not clean, and neither is a report without stages", () => {
  expect(reportOf(9, [ran("trials", { tried: 0 })], 0).problems).toEqual([
    "trials: It tried nothing.",
  ]);
  expect(reportOf(9, [], 0).problems).toEqual(["No stage ran."]);
});
