/** The floor of anything durable behind HTTP: one Hono route that does one INSERT. */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.TIDEBASE_DATABASE_URL, max: 10 });
const app = new Hono()
  .get("/ready", (c) => c.json({ ok: true }))
  .post("/insert", async (c) => {
    const { k, v } = await c.req.json();
    const text = "insert into floor (k, v) values ($1, $2)";
    await pool.query({ name: "insert", text, values: [k, v] });
    return c.json({ ok: true });
  });
const server = serve({
  fetch: app.fetch,
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
});
process.once("SIGTERM", () => {
  server.close(() => pool.end());
  server.closeIdleConnections();
});
