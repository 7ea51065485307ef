import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { isTidebaseError, type Run, Tidebase } from "@tidebase/sdk";
import { upload } from "../../outside/files.ts";
import { postMessage, sendMail } from "../../outside/mail.ts";
import { downtimeOf, type Order, ordersOf, ticketsOf } from "../../outside/sources.ts";

const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
const { values } = parseArgs({
  options: {
    date: { type: "string" },
    to: { type: "string", multiple: true },
    channel: { type: "string" },
  },
});
const { date = yesterday, to = ["ops@example.com", "sales@example.com"] } = values;
const { channel = "#daily" } = values;
if (!/^\d{4}-\d\d-\d\d$/.test(date)) {
  console.error("--date must be a day such as 2026-05-31.");
  process.exit(2);
}

async function retried<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 4) throw error;
      const pauseMs = 25 * 2 ** attempt * (0.5 + Math.random() / 2);
      console.error(`${what}: ${(error as Error).message}, again in ${Math.round(pauseMs)} ms`);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

interface Nightly {
  readonly date: string;
  readonly to: readonly string[];
  readonly channel: string;
}

async function allOrders(run: Run<Nightly>): Promise<Order[]> {
  const orders: Order[] = [];
  for (let page = 1, more = true; more; page++) {
    const key = `page ${page}`;
    const read = () => retried("orders", () => ordersOf(run.input.date, page));
    const answer = await run.step("orders", { key }, read);
    orders.push(...answer.orders);
    more = answer.more;
  }
  return orders;
}

interface Numbers {
  readonly orders: number;
  readonly cents: number;
  readonly tickets: number;
  readonly downtime: number;
}

function render(date: string, numbers: Numbers) {
  const reportId = randomUUID();
  return [
    `# Report for ${date}`,
    `${numbers.orders} orders, ${(numbers.cents / 100).toFixed(2)} EUR`,
    `${numbers.tickets} open tickets, ${numbers.downtime} s down`,
    `Report ${reportId}, generated ${new Date().toISOString()}`,
  ].join("\n\n");
}

async function report(run: Run<Nightly>) {
  const { date, to, channel } = run.input;
  const [orders, tickets, downtime] = await Promise.all([
    allOrders(run),
    run.step("tickets", () => retried("tickets", () => ticketsOf(date))),
    run.step("downtime", () => retried("downtime", () => downtimeOf(date))),
  ]);
  const numbers = {
    orders: orders.length,
    cents: orders.reduce((sum, { cents }) => sum + cents, 0),
    tickets: Object.values(tickets).reduce((sum, count) => sum + count, 0),
    downtime,
  };
  const text = await run.step("render", () => render(date, numbers));
  const name = `nightly/${date}.md`;
  const stored = { sideEffects: ["stores the report"], idempotencyKey: name };
  const url = await run.step("upload", stored, () => upload(name, text));
  const posted = { sideEffects: ["posts to the channel"], idempotencyKey: `${run.runId}:message` };
  await run.step("announce", posted, ({ idempotencyKey }) =>
    postMessage(channel, `The report for ${date} is at ${url}`, { idempotencyKey }),
  );
  const undelivered: string[] = [];
  for (const address of new Set(to)) {
    const key = `${run.runId}:mail:${address}`;
    const sent = { key: address, sideEffects: ["mails the report"], idempotencyKey: key };
    const reason = await run.step("mail", sent, async ({ idempotencyKey }) => {
      try {
        await sendMail({ to: address, subject: `Report for ${date}`, text }, { idempotencyKey });
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    });
    if (reason === undefined) continue;
    undelivered.push(address);
    console.error(`mail to ${address}: ${reason}`);
  }
  return { date, ...numbers, url, undelivered };
}

const runId = process.env["TIDEBASE_RUN_ID"];
const identity = runId ? { runId } : { idempotencyKey: `nightly-report:${date}` };
const tide = new Tidebase();
try {
  const input = { date, to, channel };
  const result = await tide.run("nightly report", { ...identity, input }, report);
  console.log(JSON.stringify(result, null, 2));
} catch (error) {
  if (isTidebaseError(error)) throw error; // suspended or lost: no failure of the report
  console.error(`No report for ${date}: ${(error as Error).message}`);
  await sendMail(
    { to: "oncall@example.com", subject: `No report for ${date}`, text: String(error) },
    { idempotencyKey: `no-report:${date}` },
  );
  process.exitCode = 1;
} finally {
  await tide.close();
}
