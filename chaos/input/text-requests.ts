import { CREATE, encode, type FixedRequest, get, post } from "./fixed-request.ts";
import { HOSTILE_TEXTS } from "./hostile.ts";

const MEMBERS = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
const NUL_PATHS = ["%00", "run_%00", "%ff", "%c0%af"];

/** What a name may be: whatever Postgres keeps, kept as it is. What it cannot keep is refused. */
export function strangeTexts(runId: string): FixedRequest[] {
  const run = (workflow: string, more: object = {}) => ({ workflow, ...more });
  const raw = (member: string) => `{"workflow":"w",${member}}`;
  return [
    ...HOSTILE_TEXTS.map((text) =>
      post("B10", JSON.stringify(text), CREATE, run(text), [isKept(text) ? 200 : 400]),
    ),
    ...HOSTILE_TEXTS.filter((text) => /[;'$%_*]/.test(text)).map((text) => {
      const path = `/v1/runs?search=${encode(text)}&tag=${encode(text)}`;
      return get("B11", JSON.stringify(text), path, [200, 400]);
    }),
    ...NUL_PATHS.map((text) => get("B5", text, `/v1/runs/${text}`, [400, 404])),
    get("B5", "in a queue's name", "/v1/queues/a%00b", [400]),
    post("B5", "in a workflow", CREATE, run("a\0b"), [400]),
    post("B5", "in a key", CREATE, run("w", { idempotencyKey: "a\0" }), [400]),
    ...MEMBERS.flatMap((name) => [
      post("B8", name, CREATE, raw(`"${name}":{"a":1}`), [400]),
      post("B8", `${name} in an input`, CREATE, raw(`"input":{"${name}":{"a":1}}`), [200]),
      post("B8", `workflow ${name}`, CREATE, run(name), [200]),
    ]),
    ...slowTexts(runId),
  ];
}

function isKept(text: string): boolean {
  return text !== "" && text.length <= 200 && !/\0|\p{Surrogate}/u.test(text);
}

function slowTexts(runId: string): FixedRequest[] {
  const hook = (name: string, events: readonly string[]) => ({
    ...{ name, events, url: "https://203.0.113.1/" },
  });
  const long = [`run.${"a".repeat(100_000)}!`];
  const many = Array<string>(100_000).fill("run.*");
  const pointer = encode("/a~0".repeat(400));
  return [
    post("B21", "a slow pattern", "/v1/webhooks", hook("slow", long), [400]),
    post("B21", "many patterns", "/v1/webhooks", hook("many", many), [400]),
    get("B21", "a slow search", `/v1/runs?search=${encode("%_".repeat(100))}`, [200]),
    get("B21", "a long pointer", `/v1/runs/${runId}/state?path=${pointer}`, [200, 400]),
  ];
}
