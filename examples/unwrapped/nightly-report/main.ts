import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
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

async function allOrders(): Promise<Order[]> {
  const orders: Order[] = [];
  for (let page = 1, more = true; more; page++) {
    const answer = await retried("orders", () => ordersOf(date, page));
    orders.push(...answer.orders);
    more = answer.more;
  }
  return orders;
}

function render(numbers: { orders: number; cents: number; tickets: number; downtime: number }) {
  const reportId = randomUUID();
  return [
    `# Report for ${date}`,
    `${numbers.orders} orders, ${(numbers.cents / 100).toFixed(2)} EUR`,
    `${numbers.tickets} open tickets, ${numbers.downtime} s down`,
    `Report ${reportId}, generated ${new Date().toISOString()}`,
  ].join("\n\n");
}

async function report() {
  const [orders, tickets, downtime] = await Promise.all([
    allOrders(),
    retried("tickets", () => ticketsOf(date)),
    retried("downtime", () => downtimeOf(date)),
  ]);
  const numbers = {
    orders: orders.length,
    cents: orders.reduce((sum, { cents }) => sum + cents, 0),
    tickets: Object.values(tickets).reduce((sum, count) => sum + count, 0),
    downtime,
  };
  const text = render(numbers);
  const url = await upload(`nightly/${date}.md`, text);
  await postMessage(channel, `The report for ${date} is at ${url}`);
  const undelivered: string[] = [];
  for (const address of to) {
    try {
      await sendMail({ to: address, subject: `Report for ${date}`, text });
    } catch (error) {
      undelivered.push(address);
      console.error(`mail to ${address}: ${(error as Error).message}`);
    }
  }
  return { date, ...numbers, url, undelivered };
}

try {
  console.log(JSON.stringify(await report(), null, 2));
} catch (error) {
  console.error(`No report for ${date}: ${(error as Error).message}`);
  await sendMail({
    to: "oncall@example.com",
    subject: `No report for ${date}`,
    text: String(error),
  });
  process.exitCode = 1;
}
