// Before a package is built to be packed: a module that was renamed since the last build must not travel along.
import { rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
