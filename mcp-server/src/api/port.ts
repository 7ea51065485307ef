import { createServer } from "node:net";

/** Where the API is served: never beyond this machine. */
export const API_HOST = "127.0.0.1";

/**
 * Whether nobody listens on the port. Whoever does is not disturbed. A port that is refused for another
 * reason counts as free: listening tells why.
 */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error) => resolve(!isTaken(error)));
    probe.listen({ host: API_HOST, port }, () => probe.close(() => resolve(true)));
  });
}

/** Whether listening failed because somebody else does. */
export function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE";
}
