import type { HttpClient } from "../input/client.ts";
import type { Canaries, Said } from "./canaries.ts";
import type { Planted } from "./planting.ts";

const FORM = { "content-type": "application/x-www-form-urlencoded" };

/**
 * A human signs in to the gate page, gets a code, and decides by key: what makes a secret is remembered,
 * what the pages say is told.
 */
export async function decideAsHuman(
  client: HttpClient,
  canaries: Canaries,
  { gateId }: Planted,
): Promise<Said[]> {
  const said: Said[] = [];
  const { gate } = JSON.parse((await client.get(`/v1/gates/${gateId}`)).text) as {
    gate: { digest: string };
  };
  const { digest } = gate;
  const code = await ask(client, `/v1/gates/${gateId}/code`, { digest, decision: "rejected" });
  canaries.secret("one-time code", "gates.code", code["code"]);
  const form = await client.post(`/v1/gates/${gateId}/form`, "{}");
  said.push({ place: "a refused form", text: form.status === 200 ? "" : form.text });
  if (form.status === 200)
    canaries.secret("form phrase", "gates.form", JSON.parse(form.text).phrase);
  const link = await ask(client, "/v1/sessions/link", {});
  const token = canaries.secret("link token", "sessions.link", link["token"]);
  const signedIn = await client.exchange("POST", "/gates/session", FORM, `link=${token}`);
  const cookie = /tidebase_session=([^;]+)/.exec(signedIn.headers["set-cookie"] ?? "")?.[1];
  canaries.secret("session cookie", "the gate page", cookie);
  const headers = { cookie: `tidebase_session=${cookie}` };
  for (const path of ["/gates", `/gates/${gateId}`])
    said.push({ place: path, text: (await client.get(path, headers)).text });
  const wrong = { gateId, digest, decision: "rejected", note: canaries.word("passing-note") };
  const proof = { kind: "code", secret: canaries.word("passing-code") };
  said.push(await refused(client, `/v1/gates/${gateId}/redeem`, { ...wrong, proof }));
  const answer = { why: canaries.word("answer") };
  const note = canaries.word("note");
  await ask(client, `/v1/gates/${gateId}/resolve`, { digest, decision: "approved", answer, note });
  said.push(await refused(client, `/v1/gates/${gateId}/resolve`, wrong));
  return said;
}

async function ask(
  client: HttpClient,
  path: string,
  body: object,
): Promise<Record<string, unknown>> {
  const { status, text } = await client.post(path, JSON.stringify(body));
  if (status !== 200) throw new Error(`${path} answered ${status} ${text.slice(0, 500)}`);
  return JSON.parse(text) as Record<string, unknown>;
}

async function refused(client: HttpClient, path: string, body: object): Promise<Said> {
  const { status, text } = await client.post(path, JSON.stringify(body));
  if (status < 400) throw new Error(`${path} was not refused: ${text.slice(0, 300)}`);
  return { place: `the refusal of ${path}`, text };
}
