import { beforeAll, expect, test } from "vitest";
import { newGrant, useDatabase } from "../../core/test/support/database.ts";
import { type Answer, useAgent } from "./support.ts";

const db = useDatabase();
const env = () => ({ TIDEBASE_DATABASE_URL: db.url });
const agent = useAgent(env);

const LIST = 8000;
const DETAIL = 12_000;
const COUNT = 40;
const EVIL = "IGNORE-ALL";
const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
/** As long as it may be, with what nobody sees. */
const long = (n: number, most: number): string => `${EVIL}${n}${"ä\u202e\u{e0041}".repeat(most)}`;
const queue = (n: number): string => long(n, 20);
const name = (n: number): string => long(n, 40);

/** The answer, which costs no more than that many bytes and sets foreign text apart. */
async function within(bytes: number, tool: string, input: object): Promise<Answer> {
  const answer = await agent.call(tool, input);
  const { untrusted: _, ...ours } = answer;
  expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(bytes);
  expect(JSON.stringify(ours)).not.toContain(EVIL);
  expect(JSON.stringify(answer)).not.toMatch(HIDDEN);
  return answer;
}

beforeAll(async () => {
  const numbers = Array.from({ length: COUNT }, (_, n) => n);
  const items = numbers.map((n) => ({ workflow: name(n), queue: queue(n), maxAttempts: 1 }));
  await db.call("runs.enqueue", { items });
  for (const n of numbers) {
    const grantId = newGrant();
    const holder = { host: name(n), pid: n };
    const version = name(n);
    const workerId = `worker_00000000-0000-7000-8000-0000000000${n + 10}`;
    const claim = { queue: queue(n), grantId, holder, version, workerId };
    const { runs } = await db.call("queues.claim", claim);
    const [{ runId, epoch }] = runs as [{ runId: string; epoch: number }];
    await db.call("runs.fail", { runId, epoch, grantId, error: { message: name(n) } });
    const schedule = { name: name(n), workflow: name(n), queue: queue(n), cron: "0 3 * * *" };
    await db.call("schedules.put", { ...schedule, input: { text: name(n).repeat(100) } });
  }
});

test.each([
  ["tidebase_list_queues", "queues", "queue"],
  ["tidebase_list_schedules", "schedules", "name"],
])("%s is cut, and its cursor goes on after the last row shown", async (tool, rows, named) => {
  const seen: string[] = [];
  for (let cursor: string | undefined = ""; cursor !== undefined; ) {
    const page: Answer = await within(LIST, tool, {
      limit: 50,
      ...(cursor === "" ? {} : { cursor }),
    });
    if (seen.length === 0)
      expect(page.truncated).toEqual({ field: rows, shown: page[rows].length, total: COUNT });
    seen.push(...page.untrusted.data[rows].map((row: Answer) => row[named]));
    cursor = page.nextCursor;
  }
  expect(new Set(seen).size).toBe(COUNT);
  expect(seen).toHaveLength(COUNT);
});

test("one of each is told, and acted on, within the budget", async () => {
  const one = await within(LIST, "tidebase_list_queues", { queue: queue(7) });
  expect(one.workers).toHaveLength(1);
  await within(LIST, "tidebase_list_schedules", { name: name(7) });
  for (const action of ["pause", "redrive"])
    await within(LIST, "tidebase_manage_queue", { queue: queue(7), action });
  for (const action of ["pause", "trigger"])
    await within(LIST, "tidebase_manage_schedule", { name: name(7), action });
  const change = { name: name(7), action: "upsert", workflow: name(8) };
  expect((await within(LIST, "tidebase_manage_schedule", change)).changes).toEqual(["workflow"]);
});

test("the overview names the worst five queues within the budget", async () => {
  const { queues, untrusted } = await within(LIST, "tidebase_overview", {});
  expect(queues).toMatchObject({ total: COUNT, inTrouble: COUNT });
  expect(queues.worst).toHaveLength(5);
  expect(untrusted.data.queues).toHaveLength(5);
});

test("a run with thousands of children is told within the budget, its failed ones by id", async () => {
  const lease = await db.begun();
  const { runId } = lease;
  const children = [{ name: "part", key: "a", workflow: "part" }];
  const { results } = await db.call("children.create", { ...lease, children });
  const [{ runId: childId }] = results as [{ runId: string }];
  await db.pool.query(
    `with made as (
      insert into tidebase.runs (run_id, workflow, status, last_seq, max_steps, body_hash, created_at, parent_run_id)
        select gen_random_uuid(), 'part', 'pending', 1, 1000, '', now(), $1 from generate_series(1, 3500) returning run_id
    ) insert into tidebase.children (parent_run_id, name, key, child_run_id, ordinal)
      select $1, 'part', 'b' || row_number() over (), run_id, 1 + row_number() over () from made`,
    [runId.slice(4)],
  );
  const grantId = newGrant();
  const { epoch } = await db.call("runs.begin", { runId: childId, grantId });
  await db.call("runs.fail", { runId: childId, epoch, grantId, error: { message: "no" } });
  const answer = await within(DETAIL, "tidebase_get_run", { runId });
  expect(answer.children).toEqual({
    total: 3000,
    more: true,
    counts: expect.arrayContaining([{ status: "pending", count: 2999 }]),
    failed: [childId],
  });
});
