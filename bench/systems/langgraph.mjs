/** LangGraph on its Postgres checkpointer: a checkpoint after every node. It has no queue and no worker. */
import { randomUUID } from "node:crypto";
import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import pg from "pg";
import { OUTPUT } from "../payload.mjs";
import { deferred, now } from "../statistics.mjs";

const PLANNED = "planned";

/** What nodes tell of themselves, by their thread. */
const heard = new Map();

const Counted = Annotation.Root({
  thread: Annotation(),
  n: Annotation(),
  count: Annotation(),
  output: Annotation(),
});
const Asked = Annotation.Root({ thread: Annotation(), answer: Annotation() });

export async function open({ databaseUrl }) {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
  pool.on("error", () => {});
  const checkpointer = new PostgresSaver(pool);
  await checkpointer.setup();
  const [loop, ask] = [stepsGraph(checkpointer), gateGraph(checkpointer)];
  return {
    async steps(count) {
      const thread = randomUUID();
      const begins = [];
      heard.set(thread, () => begins.push(now()));
      await loop.invoke({ thread, n: 0, count }, config(thread, count));
      heard.delete(thread);
      begins.push(now());
      return begins.slice(1).map((at, n) => at - begins[n]);
    },
    async prepare(count) {
      const thread = randomUUID();
      heard.set(thread, (n) => failAt(n === count));
      const input = { thread, n: 0, count: count + 1 };
      await loop.invoke(input, config(thread, count)).catch(onlyPlanned);
      return thread;
    },
    async resume(thread, count) {
      const reached = deferred();
      heard.set(thread, () => {
        reached.resolve(now());
        failAt(true);
      });
      const started = now();
      const done = loop.invoke(null, config(thread, count)).catch(onlyPlanned);
      const ms = (await reached.promise) - started;
      await done;
      return { ms };
    },
    async gate({ waiting, goesOn }) {
      const thread = randomUUID();
      heard.set(thread, goesOn);
      await ask.invoke({ thread }, config(thread, 1));
      waiting(thread);
    },
    decision: async (thread) => () =>
      ask.invoke(new Command({ resume: { approved: true } }), config(thread, 1)),
    close: () => pool.end(),
  };
}

/** `sync`: a node's checkpoint is committed before the next node runs, as every other system here does it. */
function config(thread, count) {
  return {
    configurable: { thread_id: thread },
    durability: "sync",
    recursionLimit: count + 50,
  };
}

function stepsGraph(checkpointer) {
  function step({ thread, n }) {
    heard.get(thread)(n);
    return { n: n + 1, output: OUTPUT };
  }
  return new StateGraph(Counted)
    .addNode("step", step)
    .addEdge(START, "step")
    .addConditionalEdges("step", ({ n, count }) => (n < count ? "step" : END))
    .compile({ checkpointer });
}

function gateGraph(checkpointer) {
  function ask({ thread }) {
    const answer = interrupt("Go on?");
    heard.get(thread)();
    return { answer };
  }
  return new StateGraph(Asked)
    .addNode("ask", ask)
    .addEdge(START, "ask")
    .addEdge("ask", END)
    .compile({ checkpointer });
}

function failAt(isThere) {
  if (isThere) throw new Error(PLANNED);
}

function onlyPlanned(error) {
  if (!String(error).includes(PLANNED)) throw error;
}
