import { statement } from "../statement.ts";
import type { Scope } from "./schema.ts";

/** Keeps the hash of a new key. */
export const createKey = statement<
  {
    keyId: string;
    name: string;
    scopes: readonly Scope[];
    keyHash: string;
    expiresInMs?: number | undefined;
  },
  { keyId: string }
>("keys.create")`
  insert into tidebase.api_keys (key_id, name, key_hash, scopes, created_at, expires_at)
  values ($key_id::uuid, $name::text, $key_hash::text, $scopes::text[], tidebase.now(),
    tidebase.now() + $expires_in_ms::bigint * interval '1 ms')
  returning key_id`;

/** In the order they were made. */
export const listKeys = statement<
  { afterId?: string | undefined; limit: number },
  {
    keyId: string;
    name: string;
    scopes: Scope[];
    createdAt: string;
    expiresAt: string | null;
    lastUsedAt: string | null;
    revokedAt: string | null;
  }
>("keys.list")`
  select key_id, name, scopes, created_at, expires_at, last_used_at, revoked_at from tidebase.api_keys
   where key_id > coalesce($after_id::uuid, '00000000-0000-0000-0000-000000000000')
   order by key_id limit $limit::int`;

/** Revoking twice keeps the first instant. */
export const revokeKey = statement<{ keyId: string }, { revokedAt: string }>("keys.revoke")`
  update tidebase.api_keys set revoked_at = coalesce(revoked_at, tidebase.now())
   where key_id = $key_id::uuid returning revoked_at`;

/** A key that is good now. */
export const findKey = statement<
  { keyHash: string },
  { keyId: string; name: string; scopes: Scope[]; stale: boolean }
>("keys.find")`
  select key_id, name, scopes, coalesce(last_used_at < tidebase.now() - interval '1 minute', true) as stale
    from tidebase.api_keys
   where key_hash = $key_hash::text and revoked_at is null and (expires_at is null or expires_at > tidebase.now())`;

/** Written at most once a minute for each key. */
export const touchKey = statement<{ keyId: string }, { keyId: string }>("keys.touch")`
  update tidebase.api_keys set last_used_at = tidebase.now()
   where key_id = $key_id::uuid and coalesce(last_used_at < tidebase.now() - interval '1 minute', true) returning key_id`;

/** Whether the store asks for keys at all: expired and revoked ones keep it closed. */
export const anyKey = statement<object, { any: boolean }>("keys.any")`
  select exists (select from tidebase.api_keys) as any`;

/** Appends to the audit trail. */
export const audit = statement<
  { actor: string; via: string; operation: string; target?: string | undefined; outcome: string },
  { auditId: number }
>("audit.append")`
  insert into tidebase.audit (at, actor, via, operation, target, outcome)
  values (tidebase.now(), $actor::text, $via::text, $operation::text, $target::text, $outcome::text)
  returning audit_id`;

/** Newest first. */
export const listAudit = statement<
  { before?: number | undefined; limit: number },
  {
    auditId: number;
    at: string;
    actor: string;
    via: string;
    operation: string;
    target: string | null;
    outcome: string;
  }
>("audit.list")`
  select audit_id, at, actor, via, operation, target, outcome from tidebase.audit
   where audit_id < coalesce($before::bigint, 9223372036854775807) order by audit_id desc limit $limit::int`;
