import type { listUsage, totalUsage, UsageSums } from "@tidebase/core";
import { type Cell, facts, type Paint, seconds, table } from "./output.ts";
import type { Answer, Read } from "./run-text.ts";

type Totals = Read<Answer<typeof totalUsage>>;

type Group = UsageSums & { readonly group: string | null };

/** `usage`: the whole, and a line for each group. */
export function totalsText(paint: Paint, by: string | undefined, totals: Totals): string {
  const total = totals.total as UsageSums;
  const groups = totals.groups as readonly Group[];
  const whole = facts(paint, [
    ["cost", paint("bold", `${total.costUsd} USD`) + unpriced(total)],
    ["tokens", `${total.totalTokens} (${total.inputTokens} in, ${total.outputTokens} out)`],
    ["records", String(total.records)],
    ["quantities", amounts(total) || undefined],
    ["since", totals.since === null ? undefined : seconds(totals.since)],
    ["until", totals.until === null ? undefined : seconds(totals.until)],
  ]);
  if (by === undefined || groups.length === 0) return whole;
  const rows = groups.map((group): Cell[] => [
    group.group ?? "-",
    group.costUsd,
    ...[group.totalTokens, group.inputTokens, group.outputTokens, group.records].map(String),
    amounts(group),
  ]);
  const head = [by.toUpperCase(), "COST USD", "TOKENS", "IN", "OUT", "RECORDS", "QUANTITIES"];
  return `${whole}\n${table(paint, head, rows)}`;
}

/** `usage list`. */
export function recordsText(paint: Paint, { records }: Answer<typeof listUsage>): string {
  if (records.length === 0) return "No usage was recorded.\n";
  const rows = records.map((record): Cell[] => [
    String(record.seq),
    seconds(record.at),
    record.kind,
    [record.provider, record.model].filter((word) => word !== null).join("/"),
    record.label ?? "",
    record.costUsd ?? "",
    String(record.totalTokens ?? ""),
    record.quantity === null ? "" : amount(record.quantity, record.unit),
  ]);
  const head = ["SEQ", "AT", "KIND", "MODEL", "LABEL", "COST USD", "TOKENS", "QUANTITY"];
  return table(paint, head, rows);
}

function unpriced({ withoutCost }: UsageSums): string {
  return withoutCost === 0 ? "" : ` (${withoutCost} of the records name no cost)`;
}

function amounts({ quantities, moreUnits }: UsageSums): string {
  const known = quantities.map(({ unit, quantity }) => amount(quantity, unit));
  return [...known, ...(moreUnits ? ["…"] : [])].join(", ");
}

function amount(quantity: string, unit: string | null): string {
  return unit === null ? quantity : `${quantity} ${unit}`;
}
