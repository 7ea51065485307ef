import { profileConfig } from "./config.ts";
import { pgbouncer } from "./stores.ts";

export default profileConfig(pgbouncer);
