import { expect, test } from "vitest";
import { readArguments } from "../src/arguments.ts";

test("without options it serves the runs, the gates and the operator's tools", () => {
  expect(readArguments([])).toEqual({
    kind: "serve",
    readOnly: false,
    allowWrites: false,
    toolsets: ["runs", "gates", "ops"],
  });
});

test("sets of tools are read as a list", () => {
  expect(readArguments(["--toolsets", "start, runs", "--read-only"])).toMatchObject({
    readOnly: true,
    toolsets: ["start", "runs"],
  });
});

test.each(["runs,opps", "", "runs,"])(
  "the sets %j are refused with those that there are",
  (given) => {
    expect(readArguments([`--toolsets=${given}`])).toEqual({
      kind: "refused",
      because: expect.stringMatching(/no set ".*"\. Take some of runs,gates,ops,start\.$/),
    });
  },
);
