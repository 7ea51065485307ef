import { randomBytes } from "node:crypto";

/** A signing secret as Standard Webhooks writes one: 32 random bytes. */
export function newSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}
