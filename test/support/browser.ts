import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll } from "vitest";

const CHROMIUM = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Pages of a real headless Chromium (Debian: chromium), each without the cookies of another. */
export function useBrowser(): (options?: BrowserContextOptions) => Promise<Page> {
  let browser: Promise<Browser> | undefined;
  afterAll(async () => (await browser)?.close());
  return async (options) => {
    if (!existsSync(CHROMIUM)) throw new Error(`No ${CHROMIUM}: apt-get install chromium`);
    browser ??= chromium.launch({ executablePath: CHROMIUM });
    return (await (await browser).newContext(options)).newPage();
  };
}
