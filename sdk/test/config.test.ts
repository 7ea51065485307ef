import { isTidebaseError, Tidebase } from "@tidebase/sdk";
import { expect, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { lineOf, recordFailure } from "../src/failure.ts";
import { resumeHint } from "../src/leases/resume-hint.ts";

test("options come before the environment, and the environment before the defaults", () => {
  expect(readConfig({}, {})).toMatchObject({ url: "http://127.0.0.1:7373", apiKey: undefined });
  const environment = {
    ...{ TIDEBASE_URL: "https://tide.example/base/", TIDEBASE_API_KEY: "tb_1" },
    TIDEBASE_VERSION: "abc",
  };
  expect(readConfig({}, environment)).toMatchObject({
    ...{ url: "https://tide.example/base", apiKey: "tb_1", version: "abc" },
  });
  const options = { url: "http://localhost:1", apiKey: "tb_2", version: "def" };
  expect(readConfig(options, environment)).toMatchObject(options);
});

test("an empty variable is an error that names it, and so is an address that is none", () => {
  for (const name of ["TIDEBASE_URL", "TIDEBASE_API_KEY", "TIDEBASE_VERSION"]) {
    const empty = () => readConfig({}, { [name]: " " });
    expect(empty).toThrow(new RegExp(`${name} is set but empty`));
  }
  expect(() => new Tidebase({ url: "localhost:7373" })).toThrow(/no address of a server/);
});

test("an API key may end with a line break, and what no header takes is named without the key", () => {
  expect(readConfig({ apiKey: " tb_1\r\n" }, {}).apiKey).toBe("tb_1");
  expect(readConfig({}, { TIDEBASE_API_KEY: "tb_2\n" }).apiKey).toBe("tb_2");
  for (const apiKey of ["tb_canary\nx", "tb_canary x", "tb_canaryé", "tb_canary\0", ""]) {
    const read = () => readConfig({ apiKey }, {});
    expect(read, JSON.stringify(apiKey)).toThrow(
      expect.objectContaining({
        code: "config_invalid",
        message: expect.stringMatching(/^(?!.*canary).*option apiKey.*TIDEBASE_API_KEY/),
      }),
    );
  }
});

test("the resume hint keeps the values of secrets to the process", () => {
  const { command, cwd } = resumeHint({
    execPath: "/usr/bin/node",
    execArgv: ["--import", "tsx"],
    argv: [
      ...["/usr/bin/node", "agent.ts", "--topic", "tides", "--api-key", "abc", "--token=abc"],
      ...["OPENAI_API_KEY=abc", "--password", "abc", "--key", "--verbose"],
      "postgres://user:abc@host/db",
    ],
  });
  expect(command).toEqual([
    ...["node", "--import", "tsx", "agent.ts", "--topic", "tides", "--api-key", "…", "--token=…"],
    ...["OPENAI_API_KEY=…", "--password", "…", "--key", "--verbose"],
    "postgres://user:…@host/db",
  ]);
  expect(cwd).toBe(process.cwd());
});

test("whatever was thrown can be recorded", () => {
  const circular: Error & { cause?: unknown } = new Error("round");
  circular.cause = circular;
  const many = new AggregateError([new Error("a"), "b"], "many");
  const hostile = new Proxy(new Error("x"), {
    get() {
      throw new Error("no");
    },
  });
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const thrown of ["text", null, undefined, 7n, { a: 1 }, circular, many, hostile, proxy]) {
    expect(isTidebaseError(thrown)).toBe(false);
    const recorded = recordFailure(thrown);
    expect(JSON.parse(JSON.stringify(recorded))).toHaveProperty("message");
    expect(lineOf(recorded)).not.toBe("");
  }
  expect(recordFailure(many).errors).toMatchObject([{ message: "a" }, { message: "b" }]);
  const long = recordFailure(new Error(`${"x".repeat(1999)}😀 and more\0\nsecond line`));
  expect(lineOf(long)).toHaveLength(2000);
  expect(lineOf(long)).toMatch(/^x+\uFFFD$/);
});
