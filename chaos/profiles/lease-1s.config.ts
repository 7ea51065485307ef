import { profileConfig } from "./config.ts";
import { lease1s } from "./leases.ts";

export default profileConfig(lease1s);
