import { afterAll, beforeEach, inject } from "vitest";
import { unfired } from "./fired.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** What has to have taken hold in every test file. */
    imposed: readonly string[];
    seed: number;
  }
}

// With `--bail`, files after the first failure are passed over.
let wasTried = false;
beforeEach(() => {
  wasTried = true;
});

// A profile that never took hold has shown nothing.
afterAll(() => {
  const missing = unfired(inject("imposed"));
  if (missing.length > 0 && wasTried)
    throw new Error(`The profile did not take hold in this file: ${missing.join("; ")}.`);
});
