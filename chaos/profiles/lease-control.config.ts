import { profileConfig } from "./config.ts";
import { leaseControl } from "./leases.ts";

export default profileConfig(leaseControl);
