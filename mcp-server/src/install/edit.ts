import { isDeepStrictEqual } from "node:util";
import { type ClientProgram, entryOf, type Launch } from "./clients.ts";
import { InstallError } from "./install-error.ts";

/** A change of one client's file: what it shall say of one server. */
export interface Edit {
  /** The file, for messages. */
  readonly file: string;
  readonly client: ClientProgram;
  readonly name: string;
  /** Undefined takes the entry out. */
  readonly launch: Launch | undefined;
}

export type Members = Record<string, unknown>;

export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The servers of a parsed file; undefined when it names none. Throws when the place holds something else. */
export function serversOf(root: unknown, { file, client: { member } }: Edit): Members | undefined {
  if (!isMembers(root))
    throw new InstallError(`${file} holds no object.`, {
      fix: "Correct or remove the file, and try again.",
    });
  const servers = Object.hasOwn(root, member) ? root[member] : undefined;
  if (servers === undefined || isMembers(servers)) return servers;
  throw new InstallError(`"${member}" in ${file} is no object.`, {
    fix: "Correct it, and try again.",
  });
}

/**
 * The entry as it shall be: the command and its arguments are set, variables are added, and whatever
 * else the user wrote there stays. Throws when the entry is a server of another kind.
 */
export function wantedEntry(current: unknown, { file, client, name, launch }: Edit): unknown {
  if (launch === undefined) return undefined;
  if (current === undefined) return entryOf(client, launch);
  if (!isMembers(current) || typeof current["command"] !== "string")
    throw new InstallError(`"${name}" in ${file} is a server of another kind, without a command.`, {
      fix: "Give --name another name, or take the entry out with --remove first.",
    });
  const before = isMembers(current["env"]) ? current["env"] : {};
  const env = { ...before, ...launch.env };
  const variables = Object.keys(env).length === 0 && current["env"] === undefined ? {} : { env };
  return { ...current, command: launch.command, args: launch.args, ...variables };
}

/** Whether two parsed files say the same; parsers differ in the prototypes of what they make. */
export function saysTheSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(plain(one), plain(other));
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isMembers(value) || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

/**
 * The last look before anything is written: the new text says what the old one said, but for our
 * entry. What the editor of text got wrong is refused here.
 */
export function proveEdit(
  before: unknown,
  after: unknown,
  wanted: unknown,
  edit: Pick<Edit, "file" | "client" | "name">,
): void {
  const { file, client, name } = edit;
  const expected = isMembers(before) ? before : {};
  const servers = expected[client.member];
  const rest = isMembers(servers) ? servers : {};
  if (wanted === undefined) delete rest[name];
  else rest[name] = wanted;
  if (servers !== undefined || wanted !== undefined) expected[client.member] = rest;
  if (!saysTheSame(withoutEmpty(after, client), withoutEmpty(expected, client)))
    throw new InstallError(`${file} is written in a way that cannot be changed safely.`, {
      fix: `Change "${name}" under "${client.member}" by hand.`,
    });
}

/** An empty table of servers says the same as none. */
function withoutEmpty(root: unknown, { member }: ClientProgram): unknown {
  if (!isMembers(root) || !isMembers(root[member])) return root;
  const { [member]: servers, ...rest } = root;
  return Object.keys(servers as Members).length === 0 ? rest : root;
}
