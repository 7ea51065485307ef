import { profileConfig } from "./config.ts";
import { page1 } from "./stores.ts";

export default profileConfig(page1);
