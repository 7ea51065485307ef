import { SCOPES, type Scope } from "@tidebase/core";
import { type HttpClient, openClient } from "../input/client.ts";
import type { Execute } from "../input/good-input.ts";
import { newKey } from "../input/serving.ts";

/** Somebody who calls, and what they may. */
export interface Caller {
  readonly name: string;
  /** Why the key opens nothing; undefined of a good one. */
  readonly refusedAs?: "key_missing" | "key_invalid";
  readonly scopes: readonly Scope[];
  /** Undefined of who has none. */
  readonly key: string | undefined;
  readonly client: HttpClient;
}

const YEAR_MS = 31_536_000_000;

/**
 * Callers of every kind: without a key, with ones that open nothing, with one for each scope alone, and for
 * each scope with one that has all others.
 */
export async function openCallers(
  url: string,
  execute: Execute,
  query: (sql: string) => Promise<unknown>,
): Promise<Caller[]> {
  const caller = (name: string, key: string | undefined, scopes: readonly Scope[]): Caller => ({
    ...{ name, scopes, key, client: openClient(url, key, 2) },
  });
  const bad = (name: string, key: string): Caller => ({
    ...caller(name, key, []),
    refusedAs: "key_invalid",
  });
  const callers: Caller[] = [
    { ...caller("no key", undefined, []), refusedAs: "key_missing" },
    bad("a wrong key", `tb_${"A".repeat(43)}`),
    bad("a key that is none", "x"),
  ];
  for (const scope of SCOPES) {
    const expired = await newKey(execute, `expired ${scope}`, [scope], { expiresInMs: YEAR_MS });
    const revoked = await newKey(execute, `revoked ${scope}`, [scope]);
    await execute("keys.revoke", { keyId: revoked.keyId });
    const alone = await newKey(execute, `only ${scope}`, [scope]);
    const others = SCOPES.filter((one) => one !== scope);
    const without = await newKey(execute, `all but ${scope}`, others);
    callers.push(
      bad(`an expired key of ${scope}`, expired.key),
      bad(`a revoked key of ${scope}`, revoked.key),
      caller(`a key of ${scope} alone`, alone.key, [scope]),
      caller(`a key of all but ${scope}`, without.key, others),
    );
  }
  await query(`update tidebase.api_keys set expires_at = tidebase.now() - interval '1 second'
    where name like 'expired %'`);
  return callers;
}
