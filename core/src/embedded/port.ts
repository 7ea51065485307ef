import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { Layout } from "./home.ts";

/** The port of last time, so that URLs stay valid; else a free one. */
export async function choosePort({ port }: Layout): Promise<number> {
  const last = Number(await readFile(port, "utf8").catch(() => ""));
  if (Number.isInteger(last) && last > 0 && last < 65_536) {
    const free = await listen(last);
    if (free !== undefined) return free;
  }
  const any = await listen(0);
  if (any === undefined) throw new Error("No free port.");
  return any;
}

async function listen(port: number): Promise<number | undefined> {
  const probe = createServer();
  const bound = await new Promise<boolean>((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => resolve(true));
  });
  if (!bound) return undefined;
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" ? address?.port : undefined;
}
