import type { TestProject } from "vitest/node";
import setUpPostgres from "../../core/test/support/global-setup.ts";
import { searchPath } from "./config.ts";
import { startPgBouncer } from "./pgbouncer.ts";

/** The Postgres of every test run, reached through PgBouncer by all that the tests open. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given: { adminUrl?: string; template?: string } = {};
  const taking = { provide: (name: keyof typeof given, value: string) => (given[name] = value) };
  const tearDown = await setUpPostgres(taking as unknown as TestProject);
  const { adminUrl, template } = given;
  if (adminUrl === undefined || template === undefined)
    throw new Error("The set-up of Postgres gave no address.");
  try {
    const bouncer = await startPgBouncer(adminUrl, searchPath());
    project.provide("adminUrl", bouncer.url);
    project.provide("template", template);
    return async () => {
      await bouncer.close();
      await tearDown();
    };
  } catch (error) {
    await tearDown();
    throw error;
  }
}
