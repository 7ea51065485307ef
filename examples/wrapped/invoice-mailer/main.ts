import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { isTidebaseError, type Run, Tidebase } from "@tidebase/sdk";
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

interface Billing {
  readonly month: string;
  readonly days: number;
  readonly dryRun: boolean;
}

function makeInvoice(customer: Customer, { month, days }: Billing): Invoice {
  return {
    number: `${month}-${randomUUID().slice(0, 8)}`,
    customer,
    cents: customer.hours * customer.rate * 100,
    dueOn: new Date(Date.now() + days * 86_400_000),
  };
}

function letter({ number, customer, cents, dueOn }: Invoice, month: string) {
  const amount = `${(cents / 100).toFixed(2)} EUR`;
  const text = `Dear ${customer.name},\n${customer.hours} hours make ${amount}, due on ${dueOn.toDateString()} under ${number}.`;
  return { to: customer.email, subject: `Invoice for ${month}: ${amount}`, text };
}

const retry = { maxAttempts: 3, minMs: 20 };

async function invoice(run: Run<Billing>, customer: Customer): Promise<number> {
  const { month, dryRun } = run.input;
  const key = customer.id;
  const made = await run.step("make invoice", { key }, () => makeInvoice(customer, run.input));
  const { number, cents } = made;
  if (dryRun) {
    console.error(`would send ${number} to ${customer.email}`);
    return 0;
  }
  // Billing books a number once; the mail provider and the mark know a repetition, too.
  const booked = { key, retry, sideEffects: ["books the invoice"], idempotencyKey: number };
  await run.step("book invoice", booked, () => createInvoice(number, customer.id, cents));
  const sent = { key, retry, sideEffects: ["mails the invoice"], idempotencyKey: `mail:${number}` };
  await run.step("mail invoice", sent, ({ idempotencyKey }) =>
    sendMail(letter(made, month), { idempotencyKey }),
  );
  const marked = { key, sideEffects: ["marks as sent"], idempotencyKey: `sent:${number}` };
  await run.step("mark as sent", marked, () => markAsSent(customer.id, month));
  console.error(`sent ${number} to ${customer.email}`);
  return cents;
}

async function invoiceAll(run: Run<Billing>) {
  const { month, dryRun } = run.input;
  let total = 0;
  const failed: string[] = [];
  const customers = await run.step("list customers", () => listDue(month));
  for (const customer of customers) {
    try {
      total += await invoice(run, customer);
    } catch (error) {
      if (isTidebaseError(error)) throw error;
      failed.push(customer.id);
      console.error(`${customer.id}: ${(error as Error).message}`);
    }
  }
  const sent = customers.length - failed.length;
  const posted = { sideEffects: ["posts to #billing"], idempotencyKey: `${run.runId}:message` };
  if (!dryRun)
    await run.step("tell billing", posted, ({ idempotencyKey }) =>
      postMessage("#billing", `${month}: ${sent} invoices sent`, { idempotencyKey }),
    );
  return { month, sent, failed, cents: total };
}

const input = { month, days, dryRun };
const runId = process.env["TIDEBASE_RUN_ID"];
const identity = runId ? { runId } : { idempotencyKey: `invoices:${month}${dryRun ? ":dry" : ""}` };
const tide = new Tidebase();
try {
  const result = await tide.run("invoices", { ...identity, input }, invoiceAll);
  console.log(JSON.stringify(result, null, 2));
  if (result.failed.length > 0) process.exitCode = 1;
} finally {
  await tide.close();
}
