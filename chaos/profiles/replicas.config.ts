import { profileConfig } from "./config.ts";
import { replicas } from "./networks.ts";

export default profileConfig(replicas);
