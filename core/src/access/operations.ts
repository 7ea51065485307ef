import { v7 as uuid } from "uuid";
import { z } from "zod";
import { operation } from "../operation.ts";
import { ApiKey, AuditEntry, KeyId, KeyName, SCOPES } from "./schema.ts";
import { hashKey, newKey } from "./secrets.ts";
import * as access from "./sql.ts";

/* A key is shown once and kept as its SHA-256. The first key closes an open loopback server. */

export const createKey = operation({
  name: "keys.create",
  summary: "Make an API key; the answer is the only time it is shown.",
  route: "POST /v1/keys",
  effect: "write",
  scope: "admin",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({
    name: KeyName,
    scopes: z.array(z.enum(SCOPES)).min(1),
    expiresInMs: z.int().min(1000).max(3_153_600_000_000).optional(),
  }),
  output: z.strictObject({ keyId: KeyId, key: z.string(), scopes: z.array(z.enum(SCOPES)) }),
  errors: [],
  async run({ db }, { name, scopes, expiresInMs }) {
    const key = newKey();
    const keyId = `key_${uuid()}`;
    const unique = SCOPES.filter((scope) => scopes.includes(scope));
    await db.one(access.createKey, {
      keyId,
      name,
      scopes: unique,
      keyHash: hashKey(key),
      expiresInMs,
    });
    return { keyId, key, scopes: unique };
  },
});

export const listKeys = operation({
  name: "keys.list",
  summary: "The API keys, without the keys themselves.",
  route: "GET /v1/keys",
  effect: "read",
  scope: "admin",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    afterId: KeyId.optional(),
    limit: z.coerce.number().int().min(1).max(200).default(100),
  }),
  output: z.strictObject({ keys: z.array(ApiKey) }),
  errors: [],
  run: async ({ db }, page) => ({ keys: await db.many(access.listKeys, page) }),
});

export const revokeKey = operation({
  name: "keys.revoke",
  summary: "End an API key now.",
  route: "POST /v1/keys/:keyId/revoke",
  effect: "destroy",
  scope: "admin",
  fenced: false,
  because: "It concerns no run.",
  input: z.strictObject({ keyId: KeyId }),
  output: z.strictObject({ keyId: KeyId, revokedAt: z.iso.datetime() }),
  errors: ["key_not_found"],
  async run({ db, fail }, { keyId }) {
    const revoked = await db.maybe(access.revokeKey, { keyId });
    if (revoked === undefined) throw fail("key_not_found", { keyId });
    return { keyId, revokedAt: revoked.revokedAt };
  },
});

export const listAudit = operation({
  name: "audit.list",
  summary: "Refused and privileged acts, newest first.",
  route: "GET /v1/audit",
  effect: "read",
  scope: "admin",
  fenced: false,
  because: "It only reads.",
  input: z.strictObject({
    before: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
    limit: z.coerce.number().int().min(1).max(500).default(100),
  }),
  output: z.strictObject({ entries: z.array(AuditEntry), before: z.int().nullable() }),
  errors: [],
  async run({ db }, { before, limit }) {
    const rows = await db.many(access.listAudit, { before, limit: limit + 1 });
    const entries = rows.slice(0, limit);
    return { entries, before: rows.length > limit ? (entries.at(-1)?.auditId ?? null) : null };
  },
});
