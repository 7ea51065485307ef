import { lookup as dnsLookup } from "node:dns/promises";
import ipaddr from "ipaddr.js";

/** Every address of a host name. Throws where there is none. */
export type Resolve = (hostName: string) => Promise<readonly string[]>;

/** Why a URL gets no message; constant words, safe to show. */
export type Refusal =
  | "not_a_url"
  | "scheme_refused"
  | "https_required"
  | "credentials_refused"
  | "port_refused"
  | "host_refused"
  | "address_refused"
  | "name_not_resolved";

/** The exact list of what an administrator allows besides the public internet. */
export interface AllowList {
  /** `host`, or `host:port`. */
  readonly hosts: ReadonlySet<string>;
  readonly ranges: readonly Range[];
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [network: Address, bits: number];

/** An entry of TIDEBASE_WEBHOOK_ALLOW that is neither host, host:port nor CIDR range. */
export class AllowListError extends Error {
  override readonly name = "AllowListError";
  readonly entry: string;

  constructor(entry: string) {
    super(`TIDEBASE_WEBHOOK_ALLOW: "${entry}" is neither host, host:port nor address/bits.`);
    this.entry = entry;
  }
}

const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };
const NAME = /^(?=.{1,253}$)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;
/** Names that mean this machine or its network, and where clouds keep their credentials. */
const INNER = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home\.arpa)$/;
/** What is routed in IPv6; all that means something else is taken off by its range. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** Reads the entries strictly; throws AllowListError with the one that is none. */
export function readAllowList(entries: readonly string[]): AllowList {
  const hosts = new Set<string>();
  const ranges: Range[] = [];
  for (const entry of entries) {
    if (entry.includes("/")) ranges.push(rangeOf(entry));
    else hosts.add(hostOf(entry));
  }
  return { hosts, ranges };
}

function rangeOf(entry: string): Range {
  const [, bits = ""] = entry.split("/");
  if (!ipaddr.isValidCIDR(entry) || !/^\d{1,3}$/.test(bits)) throw new AllowListError(entry);
  const [network, length] = ipaddr.parseCIDR(entry);
  const isFourParts = network.kind() === "ipv6" || entry.split(".").length === 4;
  if (!isFourParts || String(network).includes("%")) throw new AllowListError(entry);
  return [network, length];
}

function hostOf(entry: string): string {
  const parts = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(entry);
  const [, host = "", port] = parts ?? [];
  const name = parse(`http://${host}/`)?.hostname ?? "";
  const isHost = name === host.toLowerCase() && (name.startsWith("[") || NAME.test(name));
  const isPort = port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
  if (!isHost || !isPort) throw new AllowListError(entry);
  return port === undefined ? name : `${name}:${Number(port)}`;
}

function parse(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** Where a URL leads, as far as its text says. */
export interface Destination {
  readonly url: URL;
  /** Without brackets and trailing dot. */
  readonly host: string;
  readonly port: number;
  /** The allow list names the host itself: scheme, port and addresses are its administrator's choice. */
  readonly named: boolean;
  readonly isLiteral: boolean;
}

/** Judges the text of a URL, with the address where it names one, but resolves nothing. */
export function readUrl(text: string, allow: AllowList): Destination | Refusal {
  const url = parse(text);
  if (url === undefined) return "not_a_url";
  const usual = PORTS[url.protocol];
  if (usual === undefined) return "scheme_refused";
  if (url.username !== "" || url.password !== "") return "credentials_refused";
  url.hostname = url.hostname.replace(/\.+$/, "");
  const { hostname } = url;
  const port = url.port === "" ? usual : Number(url.port);
  const host = hostname.replace(/^\[|\]$/g, "");
  const isLiteral = ipaddr.isValid(host);
  const named = allow.hosts.has(hostname) || allow.hosts.has(`${hostname}:${port}`);
  const destination = { url, host, port, named, isLiteral };
  const trusted = named || (isLiteral && isInRanges(host, allow));
  return trusted ? destination : (refusalOf(destination) ?? destination);
}

function refusalOf({ url, host, port, isLiteral }: Destination): Refusal | undefined {
  if (isLiteral && !isPublic(host)) return "address_refused";
  if (!isLiteral && !isOuterName(host)) return "host_refused";
  if (port !== 80 && port !== 443) return "port_refused";
  return url.protocol === "https:" ? undefined : "https_required";
}

/** A name of one label means something of the local network. */
function isOuterName(host: string): boolean {
  return NAME.test(host) && host.includes(".") && !INNER.test(host);
}

/** Whether a message may go to this address: a public one, or one of an allowed range. */
export function isAllowed(address: string, allow: AllowList): boolean {
  return isPublic(address) || isInRanges(address, allow);
}

function isInRanges(text: string, { ranges }: AllowList): boolean {
  const address = read(text);
  if (address === undefined) return false;
  return ranges.some(([network, bits]) =>
    address instanceof ipaddr.IPv4
      ? network instanceof ipaddr.IPv4 && address.match(network, bits)
      : network instanceof ipaddr.IPv6 && address.match(network, bits),
  );
}

/** Only plain unicast counts. What wraps another address (NAT64, 6to4, Teredo, `::a.b.c.d`) does not. */
function isPublic(text: string): boolean {
  const address = read(text);
  if (address === undefined || address.range() !== "unicast") return false;
  return address instanceof ipaddr.IPv4 || address.match(GLOBAL_IPV6);
}

/** An IPv4 address in the guise of an IPv6 one is judged as what it is; a zone id is never public. */
function read(text: string): Address | undefined {
  if (text.includes("%") || !ipaddr.isValid(text)) return undefined;
  const address = ipaddr.parse(text);
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()
    ? address.toIPv4Address()
    : address;
}

/** Every address, as the operating system resolves names. */
export const resolveName: Resolve = async (hostName) =>
  (await dnsLookup(hostName, { all: true })).map(({ address }) => address);

/** Why the URL cannot be a webhook's, or undefined: judged when it is written, and again by the sender. */
export async function checkUrl(
  text: string,
  allow: AllowList,
  resolve: Resolve,
): Promise<Refusal | undefined> {
  const destination = readUrl(text, allow);
  if (typeof destination === "string") return destination;
  const { host, isLiteral, named } = destination;
  if (isLiteral) return undefined;
  const addresses = await resolve(host).catch(() => []);
  if (addresses.length === 0) return "name_not_resolved";
  return named || addresses.every((one) => isAllowed(one, allow)) ? undefined : "address_refused";
}
