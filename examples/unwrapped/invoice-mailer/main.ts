import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { type Customer, createInvoice, listDue, markAsSent } from "../../outside/billing.ts";
import { postMessage, sendMail } from "../../outside/mail.ts";

interface Invoice {
  readonly number: string;
  readonly customer: Customer;
  readonly cents: number;
  readonly dueOn: Date;
}

const { values } = parseArgs({
  options: {
    month: { type: "string" },
    days: { type: "string" },
    "dry-run": { type: "boolean" },
  },
});
const { month = "2026-05", "dry-run": dryRun = false } = values;
const days = Number(values.days ?? 14);
if (!/^\d{4}-\d\d$/.test(month) || !Number.isInteger(days)) {
  console.error("Usage: main.ts [--month 2026-05] [--days 14] [--dry-run]");
  process.exit(2);
}

function makeInvoice(customer: Customer): Invoice {
  return {
    number: `${month}-${randomUUID().slice(0, 8)}`,
    customer,
    cents: customer.hours * customer.rate * 100,
    dueOn: new Date(Date.now() + days * 86_400_000),
  };
}

function letter({ number, customer, cents, dueOn }: Invoice) {
  const amount = `${(cents / 100).toFixed(2)} EUR`;
  const text = `Dear ${customer.name},\n${customer.hours} hours make ${amount}, due on ${dueOn.toDateString()} under ${number}.`;
  return { to: customer.email, subject: `Invoice for ${month}: ${amount}`, text };
}

async function withRetries<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 3) throw error;
      console.error(`${what}, attempt ${attempt}: ${(error as Error).message}`);
    }
  }
}

let total = 0;
const failed: string[] = [];

async function invoice(customer: Customer): Promise<void> {
  const made = makeInvoice(customer);
  if (dryRun) {
    console.error(`would send ${made.number} to ${customer.email}`);
    return;
  }
  await withRetries(`invoice ${made.number}`, () =>
    createInvoice(made.number, customer.id, made.cents),
  );
  await withRetries(`mail to ${customer.email}`, () => sendMail(letter(made)));
  await markAsSent(customer.id, month);
  total += made.cents;
  console.error(`sent ${made.number} to ${customer.email}`);
}

const customers = await listDue(month);
for (const customer of customers) {
  try {
    await invoice(customer);
  } catch (error) {
    failed.push(customer.id);
    console.error(`${customer.id}: ${(error as Error).message}`);
  }
}
const sent = customers.length - failed.length;
if (!dryRun) await postMessage("#billing", `${month}: ${sent} invoices sent`);
console.log(JSON.stringify({ month, sent, failed, cents: total }, null, 2));
if (failed.length > 0) process.exitCode = 1;
