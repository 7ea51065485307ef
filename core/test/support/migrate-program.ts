import { migrate } from "../../src/migrate.ts";

/** Migrates the database named, and says what it applied. */
console.log(JSON.stringify(await migrate({ databaseUrl: process.argv[2] ?? "" })));
