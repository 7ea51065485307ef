import { readdir, readFile, readlink } from "node:fs/promises";

/** A line of /proc/net/tcp: local and remote address, state, and the socket's inode as the tenth field. */
const LISTENING = "0A";
const ESTABLISHED = "01";

/** A TCP socket of a process. */
interface OpenSocket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: string;
}

/** The ports on which this process listens, by Linux; none when it is gone. */
export async function portsOf(pid: number): Promise<number[]> {
  const sockets = await socketsOf(pid);
  return sockets.filter(({ state }) => state === LISTENING).map(({ localPort }) => localPort);
}

/** How many connections this process has made to the port. */
export async function connectionsTo(pid: number, port: number): Promise<number> {
  const sockets = await socketsOf(pid);
  return sockets.filter((one) => one.state === ESTABLISHED && one.remotePort === port).length;
}

/** Its state, such as `T` for stopped or `S` for asleep; undefined when it is gone. */
export async function stateOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[0] || undefined; // the name may hold anything
}

/** A variable that the process was started with. */
export async function variableOf(pid: number, name: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
  const found = text.split("\0").find((entry) => entry.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}

/** The most memory that it has had so far, in MiB. */
export async function peakMemory(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024);
}

async function socketsOf(pid: number): Promise<OpenSocket[]> {
  const folder = `/proc/${pid}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(
    names.map((name) => readlink(`${folder}/${name}`).catch(() => "")),
  );
  const inodes = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]));
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "latin1").catch(() => "")),
  );
  const rows = tables.flatMap((table) => table.split("\n").slice(1));
  return rows.flatMap((row) => {
    const [, local = "", remote = "", state = "", , , , , , inode = ""] = row.trim().split(/\s+/);
    if (!inodes.has(inode)) return [];
    return [{ localPort: portIn(local), remotePort: portIn(remote), state }];
  });
}

const portIn = (address: string): number => Number.parseInt(address.split(":")[1] ?? "", 16);
