import { beforeAll, beforeEach, expect, test } from "vitest";
import { signedIn, useDatabase } from "./support/database.ts";

const db = useDatabase();

/** Every write of a step, and every decision of a gate, is rolled back as by a deadlock, until `tries` has counted that many. */
beforeAll(async () => {
  await db.pool.query(`
    create sequence public.tries;
    create table public.rollbacks (most bigint);
    create function public.roll_back() returns trigger language plpgsql as $$
    begin
      if nextval('public.tries') <= (select most from public.rollbacks) then
        raise 'deadlock detected' using errcode = '40P01';
      end if;
      return new;
    end $$;
    create trigger roll_back before insert on tidebase.steps for each row execute function public.roll_back();
    create trigger roll_back before update on tidebase.gates for each row execute function public.roll_back();
  `);
});

beforeEach(async () => {
  await db.pool.query("alter sequence public.tries restart");
});

async function rollBack(most: number): Promise<void> {
  await db.pool.query("delete from public.rollbacks");
  await db.pool.query("insert into public.rollbacks values ($1)", [most]);
}

async function completing(rollbacks: number): Promise<() => Promise<Record<string, unknown>>> {
  const lease = await db.begun();
  await rollBack(rollbacks);
  return () => db.call("steps.complete", { items: [{ ...lease, name: "s", output: 1 }] });
}

test("a write that Postgres rolls back for the sake of another is sent again", async () => {
  const complete = await completing(2);
  expect(await complete()).toMatchObject({ results: [{ outcome: "completed" }] });
});

test("one that is rolled back again and again is store_busy, and the caller may send it again", async () => {
  const complete = await completing(1_000_000);
  await expect(complete()).rejects.toMatchObject({ code: "store_busy" });
  await db.pool.query("delete from public.rollbacks");
  expect(await complete()).toMatchObject({ results: [{ outcome: "completed" }] });
});

test("so is a transaction as a whole: a decision is made once, or may be sent again", async () => {
  const { gateId, digest } = await db.gate(await db.begun());
  const decide = () =>
    db.call("gates.resolve", { gateId, digest, decision: "approved" }, signedIn("ada"));
  await rollBack(1_000_000);
  await expect(decide()).rejects.toMatchObject({ code: "store_busy" });
  await db.pool.query("alter sequence public.tries restart");
  await rollBack(2);
  expect(await decide()).toMatchObject({ gate: { status: "approved" } });
});
