import type { Database } from "../database.ts";
import { TidebaseError } from "../errors.ts";
import type { Actor } from "../operation.ts";
import { hashKey } from "./secrets.ts";
import * as access from "./sql.ts";

/** How long a found key, or that there is none, is believed: a revoked key works no longer than this. */
const BELIEVED_MS = 2000;
const REMEMBERED_MAX = 1000;

/**
 * The one principal of a store without keys, whose server listens on loopback only. Agents are among those
 * who come without a key: so nobody decides, or makes a key or a channel that could, in this name.
 */
export const LOCAL: Actor = {
  name: "local",
  scopes: ["read", "work", "enqueue", "operate"],
  via: "open",
};

/** Finds out who calls, from the key alone. */
export interface Access {
  /** Throws `key_missing` or `key_invalid`; a store without keys knows `local` alone. */
  authenticate(bearer: string | undefined): Promise<Actor>;
  /** Whether the store has ever been given a key. */
  hasKeys(): Promise<boolean>;
}

/** Remembers found keys for two seconds, so that a request rarely costs a look-up. */
export function openAccess(db: Database): Access {
  const actors = new Map<string, { actor: Actor; until: number }>();
  let closed: { any: boolean; until: number } | undefined;

  async function hasKeys(): Promise<boolean> {
    const now = performance.now();
    if (closed === undefined || closed.until < now) {
      const { any } = await db.one(access.anyKey, {});
      closed = { any, until: now + BELIEVED_MS };
    }
    return closed.any;
  }

  async function authenticate(bearer: string | undefined): Promise<Actor> {
    if (bearer === undefined) {
      if (await hasKeys()) throw new TidebaseError("key_missing");
      return LOCAL;
    }
    const keyHash = hashKey(bearer);
    const known = actors.get(keyHash);
    if (known !== undefined && known.until > performance.now()) return known.actor;
    const key = await db.maybe(access.findKey, { keyHash });
    if (key === undefined) throw new TidebaseError("key_invalid");
    if (key.stale && !db.readOnly) await db.maybe(access.touchKey, { keyId: key.keyId });
    const actor: Actor = { name: key.name, scopes: key.scopes, via: key.keyId };
    if (actors.size >= REMEMBERED_MAX) actors.clear();
    actors.set(keyHash, { actor, until: performance.now() + BELIEVED_MS });
    return actor;
  }
  return { authenticate, hasKeys };
}
