import { request as httpRequest } from "node:http";
import pg from "pg";

/*
 * What the test of the hook kills: two statements and a request in each way that there is. Arguments: the database, the
 * name of a sequence, an address.
 */

const [databaseUrl = "", sequence = "", url = ""] = process.argv.slice(2);
const client = new pg.Client(databaseUrl);
await client.connect();
await client.query(`create sequence ${sequence}`);
await client.query(`select nextval('${sequence}')`);
await client.end();
const { request } = await import("undici"); // most die before, and starting takes the time of the test
await (await request(`${url}/undici`)).body.text();
await (await fetch(`${url}/fetch`)).text();
await new Promise<void>((resolve, reject) => {
  httpRequest(`${url}/http`, { method: "POST" }, (answer) => {
    answer.resume().once("end", resolve);
  })
    .once("error", reject)
    .end("{}");
});
process.exit();
