import { CREATE, type FixedRequest, get, post, saying } from "./fixed-request.ts";

const DELIVERY = "delivery_00000000-0000-7000-8000-000000000000";
const WEBHOOK = "webhook_00000000-0000-7000-8000-000000000000";

/** What is named in words: schedules, steps and deliveries that there are not, and a queue nobody has used. */
export function nothings(runId: string): FixedRequest[] {
  const schedule = "/v1/schedules/nothing";
  const step = { name: "nothing", key: "", decision: "retry", reason: "r", dryRun: false };
  return [
    get("B16", "a queue", "/v1/queues/nothing", [200]),
    get("B16", "a schedule", schedule, [404]),
    get("B16", "a schedule's fires", `${schedule}/fires`, [404]),
    post("B16", "a schedule's pause", schedule, { paused: true }, [404]),
    ...["trigger", "delete"].map((act) => post("B16", act, `${schedule}/${act}`, {}, [404])),
    get("B16", "a step", `/v1/runs/${runId}/step?name=nothing`, [404]),
    post("B16", "a step's review", `${CREATE}/${runId}/steps/review`, step, [404]),
    post("B16", "a delivery", "/v1/deliveries/redeliver", { deliveryId: DELIVERY }, [404]),
    post("B16", "a webhook", "/v1/deliveries/redeliver", { webhookId: WEBHOOK }, [404]),
    saying(
      '"deliveries":[]',
      get("B16", "its deliveries", `/v1/deliveries?webhookId=${WEBHOOK}`, [200]),
    ),
  ];
}
