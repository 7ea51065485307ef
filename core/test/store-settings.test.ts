import { expect, test } from "vitest";
import { readStoreSettings, StoreError } from "../src/index.ts";

test("what is not set is left to the store", () => {
  const nothing = { gateFloor: undefined, webhookAllow: [], publicUrl: undefined };
  expect(readStoreSettings({})).toEqual(nothing);
});

test("the settings of a store are read as they are meant", () => {
  const env = {
    TIDEBASE_GATE_FLOOR: "signed_in",
    TIDEBASE_WEBHOOK_ALLOW: " 127.0.0.1:8787, hooks.internal,,10.20.0.0/16",
    TIDEBASE_PUBLIC_URL: "HTTPS://Tide.example:443/",
  };
  expect(readStoreSettings(env)).toEqual({
    gateFloor: "signed_in",
    webhookAllow: ["127.0.0.1:8787", "hooks.internal", "10.20.0.0/16"],
    publicUrl: "https://tide.example",
  });
});

test.each([
  ...["TIDEBASE_GATE_FLOOR", "TIDEBASE_WEBHOOK_ALLOW", "TIDEBASE_PUBLIC_URL"].flatMap((name) => [
    [name, "", "variable_empty"],
    [name, "  ", "variable_empty"],
    [name, "$" + "{SETTING}", "variable_unexpanded"],
  ]),
  ...["none", "Code", "code,signed_in"].map((text) => [
    ...["TIDEBASE_GATE_FLOOR", text, "variable_invalid"],
  ]),
  ["TIDEBASE_WEBHOOK_ALLOW", "https://h", "variable_invalid"],
  ...[
    "tide.example",
    "ftp://tide.example",
    "https://me:canary@tide.example",
    "https://canary@tide.example/",
    "https://tide.example/base",
    "https://tide.example/?token=canary",
    "https://tide.example?",
    "https://tide.example/#canary",
  ].map((text) => ["TIDEBASE_PUBLIC_URL", text, "variable_invalid"]),
] as [string, string, string][])("%s=%j is %s", (name, value, code) => {
  let thrown: unknown;
  try {
    readStoreSettings({ [name]: value });
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(StoreError);
  expect(thrown).toMatchObject({ code, message: expect.stringContaining(name) });
  const { message, fix } = thrown as StoreError;
  expect(message + fix).not.toContain("canary");
});
