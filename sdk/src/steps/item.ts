import { encode } from "../encoding/encoding.ts";
import { inputHash } from "../encoding/input-hash.ts";
import type { Lease } from "../leases/lease.ts";
import type { StepWork } from "./call.ts";
import type { StepContract } from "./contract.ts";

/** The server keeps a step's input up to this size, and only its hash beyond. */
const INPUT_BYTES = 65_536;

/** What is sent of one step, as the texts of JSON members. */
export interface StepItem {
  readonly name: string;
  readonly key: string;
  readonly inputHash: string | undefined;
  /** The input as JSON, where it is small enough to be stored. */
  readonly input: string | undefined;
  /** The members of every item of this step, without the brackets. */
  readonly members: string;
}

/** A step that is executed: which attempt it is at, and how many have failed. */
export type Doing = {
  readonly item: StepItem;
  readonly contract: StepContract;
  readonly work: StepWork<unknown>;
  /** Whether the server is asked, and told, before the function is called. */
  asks: boolean;
  attempt: number;
  failures: number;
};

/** Written once for a step; each request adds its own members. */
export function stepItem(
  { runId, epoch, grantId }: Lease,
  name: string,
  contract: StepContract,
  declared: string | undefined,
): StepItem {
  const key = contract.key ?? "";
  const given = contract.input !== undefined;
  const hash = given ? inputHash(contract.input) : undefined;
  const input = given ? storable(contract.input) : undefined;
  const lease = `"runId":"${runId}","epoch":${epoch},"grantId":"${grantId}"`;
  const promise =
    (hash === undefined ? "" : `,"inputHash":"${hash}"`) +
    (input === undefined ? "" : `,"input":${input}`) +
    (declared === undefined ? "" : `,"contract":${declared}`);
  const members = `${lease},"name":${JSON.stringify(name)},"key":${JSON.stringify(key)}${promise}`;
  return { name, key, inputHash: hash, input, members };
}

/** Hashing refuses no input; storing one does, and then only the hash is kept. */
function storable(input: unknown): string | undefined {
  try {
    const { json } = encode(input);
    return Buffer.byteLength(json) <= INPUT_BYTES ? json : undefined;
  } catch {
    return undefined;
  }
}
