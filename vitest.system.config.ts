import { defineConfig } from "vitest/config";
import { EMBEDDED, SLOW } from "./vitest.config.ts";

/** What needs another program, packed packages or many trials: `npm run test:system`. */
export default defineConfig({
  resolve: { conditions: ["tidebase-source"] },
  ssr: { resolve: { conditions: ["tidebase-source"] } },
  test: {
    include: [
      "test/system/**/*.test.ts",
      "sdk/test/kill.test.ts",
      "core/test/wake-races.test.ts",
      ...EMBEDDED,
      ...SLOW,
    ],
    globalSetup: "core/test/support/global-setup.ts",
    expect: { poll: { timeout: 10_000 } }, // a busy machine is slow, not wrong
    env: { TIDEBASE_KILL_TRIALS: "100", TIDEBASE_WAKE_ROUNDS: "1000" },
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
