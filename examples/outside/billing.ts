import { delay, effects, happens } from "./effects.ts";

export interface Customer {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly hours: number;
  readonly rate: number;
}

const NAMES = ["Abel", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia"];

/** The customers with hours in the month that are not marked as sent yet. */
export async function listDue(month: string): Promise<Customer[]> {
  await delay(`due ${month}`);
  const all = NAMES.map((name, index) => ({
    ...{ id: `c${index + 1}`, name, email: `accounts@${name.toLowerCase()}.example` },
    ...{ hours: (index * 7 + Number(month.slice(-2))) % 20, rate: 80 + index * 5 },
  }));
  const sent = effects();
  return all.filter(
    ({ id, hours }) => hours > 0 && !sent.includes(`${id} marked as sent for ${month}`),
  );
}

/** Books an invoice under its number; the number is the caller's, and a second one of it is refused. */
export async function createInvoice(
  number: string,
  customerId: string,
  cents: number,
): Promise<void> {
  await delay(number);
  const effect = `invoice ${number} for ${customerId}: ${cents} cents`;
  const taken = effects().find((known) => known.startsWith(`invoice ${number} `));
  if (taken !== undefined && taken !== effect)
    throw new Error(`Invoice ${number} exists with other content.`);
  if (taken === undefined) happens(effect);
}

/** An update: the second one changes nothing. */
export async function markAsSent(customerId: string, month: string): Promise<void> {
  await delay(customerId);
  const effect = `${customerId} marked as sent for ${month}`;
  if (!effects().includes(effect)) happens(effect);
}
