import { median } from "./statistics.mjs";

/**
 * One line a measure and contender: median and extremes of its rounds, its ratios to the best peer and to the floor, and
 * how its targets were met. A ratio is taken within each round, and the median of those is shown. A target is an upper
 * (`most`) or lower (`least`) bound of the median, or of the ratio to the contender it names in `of`; it is for
 * Tidebase, or for the contender it names in `for`.
 */
export function summarize({ id, title, measures }, contenders, rounds) {
  return measures.flatMap((measure) => {
    const measured = contenders
      .map((contender) => ({ ...contender, values: valuesOf(rounds, contender.name, measure.id) }))
      .filter(({ values }) => values.length > 0);
    const field = { measured, best: bestPeer(measured, measure) };
    return measured.map((contender) => ({
      workload: id,
      part: title,
      measure: measure.title,
      unit: measure.unit,
      ...lineOf(contender, measure, field),
    }));
  });
}

/** Costs a step, with their targets. */
export function summarizeCost({ id, costTargets }, { name, title, cost }, { counted, runs }) {
  const perStep = (value) => value && value / (cost.steps * runs);
  const line = {
    ...{ workload: id, contender: name, title },
    statements: perStep(counted.statements),
    commits: perStep(counted.commits),
    walBytes: perStep(counted.walBytes),
    each: counted.each.map(({ text, calls }) => ({ text: nameOf(text), calls: perStep(calls) })),
  };
  if (name !== "tidebase" || costTargets === undefined) return line;
  const targets = Object.entries(costTargets).map(([figure, { most }]) => {
    return { text: `${figure} ≤ ${most}`, met: line[figure] <= most };
  });
  return { ...line, targets };
}

function lineOf({ name, title, kind, values }, measure, { measured, best }) {
  const ratioTo = (other) => {
    const to = measured.find((one) => one.name === other);
    return to === undefined ? undefined : median(values.map((value, n) => value / to.values[n]));
  };
  const line = {
    ...{ contender: name, title, side: kind, median: median(values) },
    ...{ min: Math.min(...values), max: Math.max(...values), values },
    ...(best !== undefined && kind !== "floor" && { best, toBest: ratioTo(best) }),
    ...(measure.floor !== undefined && { floor: measure.floor, toFloor: ratioTo(measure.floor) }),
  };
  const own = (measure.targets ?? []).filter((target) => (target.for ?? "tidebase") === name);
  if (own.length === 0) return line;
  const targets = own.map((target) => judge(target, { measure, best, ratioTo, of: line.median }));
  return { ...line, targets };
}

function judge(target, { measure, best, ratioTo, of }) {
  const { most, least } = target;
  const bound = most === undefined ? `≥ ${least.toLocaleString("en-US")}` : `≤ ${most}`;
  const text = `${bound} ${target.of === undefined ? measure.unit : `× ${target.of}`}`;
  const other = target.of === "best peer" ? best : target.of;
  const reached = target.of === undefined ? of : ratioTo(other);
  if (reached === undefined) return { text };
  return { text, reached, met: most === undefined ? reached >= least : reached <= most };
}

function bestPeer(measured, { better = "less" }) {
  const order = better === "more" ? -1 : 1;
  const peers = measured.filter(({ kind }) => kind === "peer");
  return peers.toSorted((a, b) => order * (median(a.values) - median(b.values)))[0]?.name;
}

function valuesOf(rounds, contender, measure) {
  const values = rounds.map((round) => round.get(contender)?.[measure]);
  return values.filter((value) => value !== undefined);
}

/** Ours carry their name in a comment; Postgres 18 keeps only those behind the first word. */
function nameOf(text) {
  return /\/\* (\S+) \*\//.exec(text)?.[1] ?? text.replace(/\s+/g, " ").slice(0, 80);
}
