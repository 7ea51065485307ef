import { delay, happens } from "./effects.ts";

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
}

/** The provider sends one mail for one idempotency key, and one for every request without a key. */
export async function sendMail(
  mail: Mail,
  options: { idempotencyKey?: string | undefined } = {},
): Promise<void> {
  if (!mail.to.includes("@")) throw new Error(`${mail.to} is no address.`);
  await delay(`handshake with the server of ${mail.to}`);
  happens(`mail to ${mail.to}: ${mail.subject}`, options.idempotencyKey);
  await delay(mail.subject);
}

/** Posts to a channel of the team's chat; keys as for mail. */
export async function postMessage(
  channel: string,
  text: string,
  options: { idempotencyKey?: string | undefined } = {},
): Promise<void> {
  await delay(channel);
  happens(`message in ${channel}: ${text}`, options.idempotencyKey);
  await delay(text);
}
