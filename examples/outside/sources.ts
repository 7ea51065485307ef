import { delay, hash } from "./effects.ts";

export interface Order {
  readonly id: string;
  readonly cents: number;
}

/** The day's orders, a page of them. */
export async function ordersOf(
  date: string,
  page: number,
): Promise<{ orders: Order[]; more: boolean }> {
  await delay(`orders ${date} ${page}`);
  const orders = Array.from({ length: 5 }, (_, n) => {
    const id = `o-${date}-${page}-${n}`;
    return { id, cents: 500 + (hash(id) % 9000) };
  });
  return { orders, more: page < 3 };
}

/** Open tickets by priority. */
export async function ticketsOf(date: string): Promise<Record<string, number>> {
  await delay(`tickets ${date}`);
  await delay(`their priorities ${date}`);
  return { low: hash(`low ${date}`) % 20, high: hash(`high ${date}`) % 5 };
}

let asked = 0;

/** Seconds of downtime. The monitoring refuses the first request of every process. */
export async function downtimeOf(date: string): Promise<number> {
  await delay(`downtime ${date}`);
  asked += 1;
  if (asked === 1) throw new Error("429 from monitoring.example");
  return hash(date) % 300;
}
