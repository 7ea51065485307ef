import { createHash, randomBytes } from "node:crypto";

/** A new API key: `tb_` and 32 random bytes. */
export function newKey(): string {
  return `tb_${randomBytes(32).toString("base64url")}`;
}

/** What the store keeps of a key: keys are random, so a plain SHA-256 is enough. */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** 32 random bytes for a link. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** What is kept of a secret: useless without the gate it belongs to. */
export function hashSecret(scope: string, secret: string): string {
  return createHash("sha256").update(`${scope}\0${secret}`).digest("hex");
}
