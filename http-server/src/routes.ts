import { operations } from "@tidebase/core";

/** A path and the methods it answers to. */
interface Known {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/**
 * Which methods a path answers to: asked only when nothing answered, so that a wrong method is told
 * from a wrong path.
 */
export class Routes {
  readonly #known = new Map<string, Known>();

  add(method: string, path: string): void {
    const pattern = new RegExp(`^${path.replaceAll(".", "\\.").replace(/:\w+/g, "[^/]+")}$`);
    const known = this.#known.get(path) ?? { pattern, methods: new Set() };
    known.methods.add(method);
    if (method === "GET") known.methods.add("HEAD");
    this.#known.set(path, known);
  }

  /** The value of the `allow` header, or undefined when no route has such a path. */
  allowed(path: string): string | undefined {
    const found = [...this.#known.values()].filter(({ pattern }) => pattern.test(path));
    const methods = new Set(found.flatMap((known) => [...known.methods]));
    return methods.size === 0 ? undefined : [...methods].sort().join(", ");
  }
}

/** Every operation with its method and its path, parameters as `:name`. */
export const operationRoutes = operations.map((operation) => {
  const [method = "", path = ""] = operation.route.split(" ");
  return { operation, method, path };
});

/** The one route that is no operation: events as they are committed (model.md §5). */
export const STREAM_PATH = "/v1/runs/:runId/events/stream";
