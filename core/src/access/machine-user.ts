import { userInfo } from "node:os";

/**
 * The name of this machine's user, for whom somebody at its terminal acts; `terminal` where the user has
 * none, as in a container. Never the name of the open store's principal.
 */
export function machineUser(): string {
  try {
    return userInfo().username;
  } catch {
    return "terminal";
  }
}
