import { profileConfig } from "./config.ts";
import { noNotify } from "./networks.ts";

export default profileConfig(noNotify);
