import { profileConfig } from "./config.ts";
import { pool2 } from "./stores.ts";

export default profileConfig(pool2);
