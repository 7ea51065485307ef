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

/** The queues that a call puts runs into, or changed: what a process can tell its own workers without a look. */
export function queuesTouched(input: unknown, answer: unknown): string[] {
  const lists = [member(input, "items"), member(input, "children")];
  const sources = [member(answer, "queue"), ...lists.filter(Array.isArray).flat()];
  const names = sources.map((source) => member(source, "queue"));
  return [...new Set(names.filter((name) => typeof name === "string"))];
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
