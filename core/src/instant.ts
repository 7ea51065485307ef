import { z } from "zod";

/** An instant of the years 1970 to 8999. */
export const Until = z.iso.datetime({ offset: true }).refine((text) => {
  const at = Date.parse(text);
  return at >= 0 && at < Date.UTC(9000, 0);
}, "must lie between the years 1970 and 9000");
