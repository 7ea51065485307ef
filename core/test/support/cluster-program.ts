import { once } from "node:events";
import { ensureCluster } from "../../src/embedded/cluster.ts";

/** Joins the cluster of the home named, says so, and leaves when its input ends. */
const cluster = await ensureCluster({ home: process.argv[2] ?? "" });
console.log(JSON.stringify(cluster));
process.stdin.resume();
await once(process.stdin, "end");
await cluster.leave();
