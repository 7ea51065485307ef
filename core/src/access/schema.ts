import { z } from "zod";
import { Name } from "../payload.ts";

/** What a key may do. `admin` covers the keys themselves. */
export const SCOPES = ["read", "work", "enqueue", "operate", "approve", "admin"] as const;
/** One of the scopes. */
export type Scope = (typeof SCOPES)[number];

export const KeyId = z
  .string()
  .regex(/^key_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  .describe("Id of the API key; not the key.");

export const KeyName = Name.min(1).describe("Who or what uses the key.");

/** An API key as lists show it: without the key. */
export const ApiKey = z.strictObject({
  keyId: KeyId,
  name: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  lastUsedAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
});

/** One privileged or refused act: who, what, on what, and how it ended. */
export const AuditEntry = z.strictObject({
  auditId: z.int(),
  at: z.iso.datetime(),
  actor: z.string(),
  via: z.string(),
  operation: z.string(),
  target: z.string().nullable(),
  outcome: z.string(),
});
