import { checkExpanded, type Environment } from "@tidebase/core";

/**
 * Throws StoreError `variable_unexpanded` for the first of our variables that holds a literal `${NAME}`:
 * the client that started this program did not fill it in.
 */
export function checkSettings(env: Environment): void {
  for (const [name, value] of Object.entries(env))
    if (name.startsWith("TIDEBASE_") && value !== undefined) checkExpanded(name, value);
}
