import { existsSync } from "node:fs";

const PLACES = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(
  (machine) => `/usr/lib/${machine}/faketime/libfaketimeMT.so.1`,
);

/**
 * The variables under which a program's wall clock is off by so many seconds (libfaketime; Debian:
 * faketime). Throws, naming the package, where the library is missing.
 */
export function clockOff(seconds: number): Record<string, string> {
  const library = PLACES.find(existsSync);
  if (library === undefined) throw new Error(`No ${PLACES.join(" or ")}: apt-get install faketime`);
  return {
    LD_PRELOAD: library,
    FAKETIME: `${seconds < 0 ? "" : "+"}${seconds}s`,
    DONT_FAKE_MONOTONIC: "1", // timers go on as they are
  };
}

/** How many seconds the clock of the server at this URL is ahead of ours, by what it tells in HTTP. */
export async function secondsAhead(url: string): Promise<number> {
  const response = await fetch(url);
  await response.arrayBuffer();
  return (Date.parse(response.headers.get("date") ?? "") - Date.now()) / 1000;
}
