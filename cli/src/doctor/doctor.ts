import {
  clusterStatus,
  type DatabaseStore,
  type EmbeddedStore,
  type FoundStore,
  isPooled,
  LOCAL,
  localBackend,
  openCore,
  openExamination,
  pendingMigrations,
  remote,
  SCOPES,
} from "@tidebase/core";
import { andLeave, type Cli } from "../cli.ts";
import { tidebaseLine } from "../output.ts";
import { describe, locate, type Place, withPlace } from "../stores.ts";
import { type Finding, lookAll, ok, skipAll } from "./check.ts";
import {
  type DatabaseContext,
  migrationCheck,
  serverChecks,
  tableChecks,
} from "./database-checks.ts";
import { embeddedCheck, nodeSaid, projectChecks } from "./machine-checks.ts";
import { keyCheck, remoteClock } from "./remote-checks.ts";
import { serverCheck } from "./server-check.ts";
import { type StoreContext, storeChecks } from "./store-checks.ts";

/** What checks go by; a test says what it likes. */
export interface Machine {
  /** Node's version. */
  readonly node: string;
  readonly now: () => number;
  /** From when on a transaction is long, in milliseconds. */
  readonly longMs: number;
}

const THIS_MACHINE: Machine = { node: process.versions.node, now: Date.now, longMs: 300_000 };

/**
 * Every check in its order, each a finding. Changes nothing; the embedded Postgres is started when it was
 * made and stands still, as every command does.
 */
export async function diagnose(cli: Cli, given: Partial<Machine> = {}): Promise<Finding[]> {
  const machine = { ...THIS_MACHINE, ...given };
  const findings = await lookAll([{ name: "Node", look: () => nodeSaid(machine.node) }], undefined);
  let found: FoundStore | undefined;
  const look = async () => {
    found = await locate(cli);
    return ok(`${describe(cli, found)}.`);
  };
  findings.push(...(await lookAll([{ name: "store", look }], undefined)));
  if (found !== undefined) findings.push(...(await ofStore(cli, found, machine)));
  findings.push(...(await lookAll(projectChecks, cli)));
  return findings;
}

async function ofStore(cli: Cli, found: FoundStore, machine: Machine): Promise<Finding[]> {
  const embedded = await lookAll([embeddedCheck], found);
  if (found.kind === "remote") return [...embedded, ...(await ofServer(cli, found, machine))];
  const works = embedded.every(({ status }) => status === "ok");
  if (!works || (await isAbsent(found)))
    return [...embedded, ...skipDatabase(works), ...(await serverAlone(cli, found))];
  return [...embedded, ...(await ofDatabase(cli, found, machine))];
}

async function isAbsent(found: DatabaseStore | EmbeddedStore): Promise<boolean> {
  if (found.kind === "database") return false;
  return (await clusterStatus({ home: found.home })).state === "absent";
}

const DATABASE_CHECKS = [...serverChecks, migrationCheck, ...tableChecks];

function skipDatabase(works: boolean): Finding[] {
  const detail = works ? "There is no store yet." : "The embedded Postgres does not work.";
  const fix = works ? tidebaseLine(["migrate"]) : "See the check of the embedded Postgres.";
  return [...skipAll(DATABASE_CHECKS, detail, fix), ...skipAll(storeChecks, detail, fix)];
}

/** The check of the server where no store of one's own can be held against its own. */
function serverAlone(cli: Cli, found: FoundStore): Promise<Finding[]> {
  return lookAll([serverCheck], { cli, found, own: undefined });
}

/** What a server's operations tell; the rest needs its database. */
async function ofServer(
  cli: Cli,
  found: Extract<FoundStore, { kind: "remote" }>,
  machine: Machine,
): Promise<Finding[]> {
  const detail = "Not looked at: a server does not tell this.";
  const fix = "Run it on the server's machine, or with --database-url.";
  const hidden = DATABASE_CHECKS.filter(({ name }) => name !== remoteClock.name);
  const server = await serverAlone(cli, found);
  const backend = remote(found);
  const checks = [remoteClock, ...storeChecks];
  const context: StoreContext = { backend, machineNow: machine.now };
  const unseen = skipAll(hidden, detail, fix);
  if (fails(server)) {
    const [reason, see] = ["The server does not answer.", "See the check of the server."];
    return [...server, ...skipAll([keyCheck, ...checks], reason, see), ...unseen];
  }
  const key = await lookAll([keyCheck], { ...context, apiKey: found.apiKey });
  const told = fails(key)
    ? skipAll(checks, "The server does not take the API key.", "See the check of the API key.")
    : await lookAll(checks, context);
  return [...server, ...key, ...told, ...unseen];
}

function fails(findings: readonly Finding[]): boolean {
  return findings.some(({ status }) => status === "fail");
}

async function ofDatabase(
  cli: Cli,
  found: DatabaseStore | EmbeddedStore,
  machine: Machine,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const reach = async () =>
    await withPlace(cli, found, async (place) => {
      findings.push(...(await ofPlace(cli, { found, place, machine })));
      return ok("");
    });
  // What cannot be reached is told by the check of the database, and all that needs it is skipped.
  const [reached] = await lookAll([{ name: "database", look: reach }], undefined);
  if (reached === undefined || reached.status === "ok") return findings;
  const [detail, fix] = ["The database cannot be used.", "See the check of the database."];
  const rest = DATABASE_CHECKS.filter(({ name }) => name !== "database");
  return [
    reached,
    ...skipAll(rest, detail, fix),
    ...skipAll(storeChecks, detail, fix),
    ...(await serverAlone(cli, found)),
  ];
}

interface Looked {
  readonly found: DatabaseStore | EmbeddedStore;
  readonly place: Place;
  readonly machine: Machine;
}

async function ofPlace(cli: Cli, { found, place, machine }: Looked): Promise<Finding[]> {
  const pooled = await isPooled(place.databaseUrl);
  const examination = openExamination({ ...place, pooled, machineNow: machine.now });
  const pending = () => pendingMigrations(place);
  const { longMs } = machine;
  const context: DatabaseContext = { found, place, pooled, examination, pending, longMs };
  return await andLeave(cli, examination.close, async () => {
    const server = await lookAll(serverChecks, context);
    const migrations = await lookAll([migrationCheck], context);
    if (migrations.some(({ status }) => status !== "ok")) {
      const [detail, fix] = ["The schema is not as it must be.", "See the check of migrations."];
      const rest = [...skipAll(tableChecks, detail, fix), ...skipAll(storeChecks, detail, fix)];
      return [...server, ...migrations, ...rest, ...(await serverAlone(cli, found))];
    }
    return [...server, ...migrations, ...(await ofTables(cli, context, machine))];
  });
}

async function ofTables(cli: Cli, context: DatabaseContext, machine: Machine): Promise<Finding[]> {
  const { found, place, examination } = context;
  const tables = await lookAll(tableChecks, context);
  const core = openCore({ ...place, sweeps: false, poolMax: 2, readOnly: true });
  const backend = localBackend(core, { ...LOCAL, scopes: SCOPES });
  return await andLeave(
    cli,
    () => backend.close(),
    async () => [
      ...tables,
      ...(await lookAll(storeChecks, { backend, examination, machineNow: machine.now })),
      ...(await lookAll([serverCheck], { cli, found, own: backend })),
    ],
  );
}
