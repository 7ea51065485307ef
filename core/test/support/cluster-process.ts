import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Another program that uses the embedded Postgres. */
export interface ClusterProcess {
  readonly child: ChildProcess;
  /** What `ensureCluster` gave it. */
  readonly joined: Promise<{ port: number; url: string; home: string; started: boolean }>;
  /** Leaves the cluster and ends. */
  leave(): Promise<void>;
  /** Ends it without a word. */
  kill(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL("cluster-program.ts", import.meta.url));
const NODE = ["--import", "tsx", "--conditions=tidebase-source"];

/** Starts a program, in a process group of its own, that joins the cluster of this home. */
export function clusterProcess(home: string): ClusterProcess {
  const child = spawn(process.execPath, [...NODE, PROGRAM, home], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const said = new Promise<string>((resolve) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (text.endsWith("\n")) resolve(text);
    });
    void ended.then(() => resolve(text));
  });
  const joined = said.then((text) => JSON.parse(text));
  joined.catch(() => {}); // who kills it early does not ask
  return {
    child,
    joined,
    leave: async () => {
      child.stdin.end();
      await ended;
    },
    kill: async () => {
      process.kill(-(child.pid ?? 0), "SIGKILL");
      await ended;
    },
  };
}
