import { createHash, randomBytes } from "node:crypto";
import type { Scope } from "./schema.ts";

/** A new API key: `tb_` and 32 random bytes. */
export function newKey(): string {
  return `tb_${randomBytes(32).toString("base64url")}`;
}

/** What the store keeps of a key: keys are random, so a plain SHA-256 is enough. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** Acts that leave a trace: whatever an operator, approver or administrator changes. */
export function isPrivileged({ scope, effect }: { scope: Scope; effect: string }): boolean {
  return effect !== "read" && scope !== "read" && scope !== "work" && scope !== "enqueue";
}
