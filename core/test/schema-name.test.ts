import { expect, test } from "vitest";
import { checkSchema, inSchema } from "../src/schema-name.ts";

test.each([
  ["select * from tidebase.runs r", 'select * from "other".runs r'],
  ["create schema if not exists tidebase", 'create schema if not exists "other"'],
  ["drop schema tidebase cascade", 'drop schema "other" cascade'],
  ["select tidebase.now(), (tidebase.f(1)).x", 'select "other".now(), ("other".f(1)).x'],
  ["execute 'select 1 from tidebase.runs'", "execute 'select 1 from \"other\".runs'"],
  ["select 'tidebase.runs'::regclass", "select '\"other\".runs'::regclass"],
  ["select 'tidebase.f(int)'::regprocedure", "select '\"other\".f(int)'::regprocedure"],
])("the schema's name in `%s` is put in", (sql, expected) => {
  expect(inSchema(sql, "other")).toBe(expected);
});

test.each([
  "select set_config('tidebase.actor', $1, true)",
  "select pg_notify('tidebase', $1)",
  "select 'tidebase' as product, x.tidebase.y, my_tidebase.runs, \"tidebase\"",
])("`%s` does not name the schema, and stays", (sql) => {
  expect(inSchema(sql, "other")).toBe(sql);
});

test("the usual name leaves every statement as it is written", () => {
  expect(inSchema("select * from tidebase.runs", "tidebase")).toBe("select * from tidebase.runs");
});

test.each(["", "Tidebase", "1st", "a-b", 'a"b', "pg_store", "a".repeat(64)])(
  "`%s` is no schema name",
  (name) => {
    expect(() => checkSchema(name)).toThrow(expect.objectContaining({ code: "schema_invalid" }));
  },
);
