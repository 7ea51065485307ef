import { profileConfig } from "./config.ts";
import { delayed } from "./networks.ts";

export default profileConfig(delayed);
