import { defineConfig } from "vitest/config";
import { EMBEDDED, SLOW } from "./vitest.config.ts";

const shared = {
  resolve: { conditions: ["tidebase-source"] },
  ssr: { resolve: { conditions: ["tidebase-source"] } },
};

const patient = {
  globalSetup: "core/test/support/global-setup.ts",
  expect: { poll: { timeout: 10_000 } }, // a busy machine is slow, not wrong
  env: { TIDEBASE_KILL_TRIALS: "100", TIDEBASE_WAKE_ROUNDS: "1000" },
  testTimeout: 600_000,
  hookTimeout: 600_000,
};

/** What needs another program, packed packages or many trials: `npm run test:system`. */
export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          ...patient,
          name: "two at once",
          include: [...SLOW],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...shared,
        test: {
          ...patient,
          name: "one by one", // whole machines of processes, kills and measured times
          include: [
            "test/system/**/*.test.ts",
            "sdk/test/kill.test.ts",
            "core/test/wake-races.test.ts",
            ...EMBEDDED,
          ],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
