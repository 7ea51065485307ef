const RUN_ID = /^run_[0-9a-f-]{36}$/;

/** The runs a call is about: named by its input, its answer or the items of either. */
export function runsTouched(input: unknown, answer: unknown): string[] {
  const found = new Set<string>();
  const lists = [member(input, "items"), member(answer, "results")];
  const sources = [input, answer, member(answer, "gate"), ...lists.filter(Array.isArray).flat()];
  for (const source of sources) {
    const runId = member(source, "runId");
    if (typeof runId === "string" && RUN_ID.test(runId)) found.add(runId);
  }
  return [...found];
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
