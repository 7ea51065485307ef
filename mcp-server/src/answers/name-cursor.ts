import { TidebaseError } from "@tidebase/core";

/** The cursor after a row whose key is a name: its bytes, since a name is shown only under `untrusted`. */
export function cursorAfter(name: string): string {
  return Buffer.from(name).toString("base64url");
}

/** The name; throws `cursor_invalid` when no `cursorAfter` made it. */
export function nameIn(cursor: string): string {
  const name = Buffer.from(cursor, "base64url").toString();
  if (cursorAfter(name) !== cursor) throw new TidebaseError("cursor_invalid");
  return name;
}
