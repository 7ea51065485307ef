import { profileConfig } from "./config.ts";
import { lease250ms } from "./leases.ts";

export default profileConfig(lease250ms);
