/** A client or worker of one system as a process of its own: opens its adapter, then does what the bench asks. */
import { operationsOf } from "./operations.mjs";

const [name, role, given] = process.argv.slice(2);
const { open } = await import(`./systems/${name}.mjs`);
const system = await open({ role, ...JSON.parse(given) });
const operations = operationsOf(system);

process.on("message", ({ id, operation, input }) => void answer(id, operation, input));
process.once("disconnect", () => void leave());
process.send({ id: 0 });

async function answer(id, operation, input) {
  try {
    process.send({ id, value: await operations[operation](input) });
  } catch (error) {
    process.send({ id, error: error instanceof Error ? error.stack : String(error) });
  }
}

/** The bench is done with it, or is gone. */
async function leave() {
  setTimeout(() => process.exit(1), 5_000).unref();
  await system.close().catch(() => {});
  process.exit(0);
}
