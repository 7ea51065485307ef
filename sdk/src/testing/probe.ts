import type { Run, Workflow } from "../runs/run.ts";
import type { StepContext, StepWork } from "../steps/call.ts";
import type { StepContract } from "../steps/contract.ts";
import { unheard } from "../unheard.ts";
import { type Life, liveAs, type StepName } from "./life.ts";

/** Thrown inside the SDK where the worker died; the workflow's own code never sees it. */
class Killed extends Error {
  override readonly name = "Killed";
}

/** The workflow as that worker executes it: its steps are boundaries, and its code ends where it dies. */
export function probed<Input, Result>(
  workflow: Workflow<Input, Result>,
  life: Life,
): Workflow<Input, Result> {
  return (run) => {
    life.asked = [];
    const died = life.killed.then((): never => {
      throw new Killed("This worker was killed by a test.");
    });
    const work = liveAs(life, () => life.lived(() => workflow(probedRun(run, life, ""))));
    return Promise.race([work, died]);
  };
}

/** The run as the workflow sees it: whatever it asks for is not answered once the worker is dead. */
function probedRun<Input>(run: Run<Input>, life: Life, path: string): Run<Input> {
  return mortal(run, life, {
    step: (name: string, ...rest: [StepWork<unknown>] | [StepContract, StepWork<unknown>]) => {
      const [contract, work] = rest.length === 2 ? rest : [{}, rest[0]];
      const place = { step: path + String(name), key: contract?.key ?? "" };
      return unheard(probedStep(run, life, place, { name, contract, work }));
    },
    child: (name: string, workflow: unknown, options?: object) => {
      const key = (options as { key?: string } | undefined)?.key;
      const inside = `${path}${name}${key === undefined ? "" : ` ${key}`} › `;
      const code = probedChild(workflow, life, inside);
      const end = life.lived(() => run.child(name, code as Workflow<unknown, unknown>, options));
      return unheard(end);
    },
  });
}

async function probedStep(
  run: Run<unknown>,
  life: Life,
  place: StepName,
  { name, contract, work }: { name: string; contract: StepContract; work: StepWork<unknown> },
): Promise<unknown> {
  if (life.isOver) return new Promise(() => {});
  life.asked.push(place);
  let isExecuted = false;
  const watched = async (context: StepContext): Promise<unknown> => {
    if (!life.pass({ ...place, when: "before" })) throw new Killed(place.step);
    isExecuted = true;
    life.executed.push(place);
    const value = await work(context);
    if (!life.pass({ ...place, when: "during" })) throw new Killed(place.step);
    return value;
  };
  // What is no function is the SDK's to refuse.
  const code = typeof work === "function" ? watched : work;
  const value = await life.lived(() => run.step(name, contract, code));
  if (!isExecuted) return value;
  life.acknowledged.push(place);
  return life.pass({ ...place, when: "after" }) ? value : new Promise(() => {});
}

/** Only code that this process executes can be looked into. */
function probedChild(workflow: unknown, life: Life, path: string): unknown {
  if (typeof workflow !== "function") return workflow;
  const code = workflow as Workflow<unknown, unknown>;
  return (run: Run<unknown>) => life.lived(() => code(probedRun(run, life, path)));
}

/** Its methods, and those of what it holds, give promises that never settle once the worker is dead. */
function mortal<Value extends object>(
  target: Value,
  life: Life,
  instead: Readonly<Record<string, unknown>> = {},
): Value {
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === "string" && Object.hasOwn(instead, name)) return instead[name];
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member === "function")
        return (...given: unknown[]) => {
          const answer: unknown = life.isOver
            ? new Promise(() => {})
            : Reflect.apply(member, target, given);
          return answer instanceof Promise ? unheard(life.lived(() => answer)) : answer;
        };
      const isPart = name === "state" || name === "gates" || name === "usage";
      return isPart && typeof member === "object" && member !== null
        ? mortal(member, life)
        : member;
    },
  });
}
