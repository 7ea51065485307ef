import { profileConfig } from "./config.ts";
import { twice } from "./networks.ts";

export default profileConfig(twice);
