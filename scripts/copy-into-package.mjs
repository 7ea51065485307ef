// A packed package holds its own copy of what the repository keeps once: `node copy-into-package.mjs FROM TO`.
import { cpSync, rmSync } from "node:fs";

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) throw new Error("Say what to copy where.");
rmSync(to, { recursive: true, force: true });
cpSync(from, to, { recursive: true });
