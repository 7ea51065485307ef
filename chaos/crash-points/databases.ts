import { join } from "node:path";
import { ensureCluster, migrate, stopCluster } from "@tidebase/core";
import pg from "pg";
import type { Row } from "../history/evidence.ts";

/** A database of a trial's own. */
export interface PointDatabase {
  readonly url: string;
  /** Of one connection, with everything as Postgres's `to_jsonb` shows it where the statement asks so. */
  query(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  drop(): Promise<void>;
}

/** Where trials get their databases from. */
export interface Databases {
  /** A database that others are copied from, made by `prepare`, which must leave no connection open. */
  template(name: string, prepare: (databaseUrl: string) => Promise<void>): Promise<void>;
  /** A copy of the template of that name. */
  copy(template: string): Promise<PointDatabase>;
  close(): Promise<void>;
}

/** Only processes of ours die: nothing here has to survive a power cut. */
const SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  max_connections: "200",
};

/** Starts a Postgres in the folder, with one migrated database that every template begins with. */
export async function openDatabases(folder: string): Promise<Databases> {
  const home = join(folder, "postgres");
  const cluster = await ensureCluster({ home, settings: SETTINGS });
  const at = (name: string) => Object.assign(new URL(cluster.url), { pathname: name }).href;
  const admin = new pg.Pool({ connectionString: at("postgres"), max: 2 });
  admin.on("error", () => {}); // whoever asks next is told
  let copies = 0;
  await admin.query("create database points_empty");
  await migrate({ databaseUrl: at("points_empty") });
  return {
    async template(name, prepare) {
      await admin.query(`create database points_${name} template points_empty`);
      await prepare(at(`points_${name}`));
    },
    async copy(template) {
      copies += 1;
      const name = `point_${copies}`;
      await admin.query(`create database ${name} template points_${template}`);
      const pool = new pg.Pool({ connectionString: at(name), max: 1 });
      pool.on("error", () => {}); // the forced drop may meet a connection that is still closing
      return {
        url: at(name),
        query: async (text, values = []) => (await pool.query(text, [...values])).rows,
        async drop() {
          await pool.end();
          await admin.query(`drop database ${name} with (force)`);
        },
      };
    },
    async close() {
      await admin.end();
      await stopCluster({ home });
    },
  };
}
