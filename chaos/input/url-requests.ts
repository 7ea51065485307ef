import { type FixedRequest, post } from "./fixed-request.ts";

const NO_ADDRESSES = [
  ...["file:///etc/passwd", "gopher://127.0.0.1/", "ftp://example.com/", "javascript:alert(1)"],
  ...["data:,x", "", "x", "//a", "https://user:pass@203.0.113.1/", "https://203.0.113.1:22/"],
  ...[
    "https://203.0.113.1:0/",
    "https://203.0.113.1:65536/",
    `https://${"a".repeat(8000)}.example/`,
  ],
];

/** This machine, networks that are somebody's own, and where clouds keep their secrets, in all disguises. */
const NOT_PUBLIC = [
  ...["http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/"],
  ...["http://127.0.0.1:1/", "http://0.0.0.0/", "http://[::1]/", "http://[::]/"],
  ...["http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:169.254.169.254]/"],
  ...["http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fe90::1]/"],
  ...["http://[fec0::1]/", "http://[fc00::1]/", "http://[ff02::1]/", "http://169.254.169.254/"],
  ...["http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://100.64.0.1/"],
  ...["http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://localhost./"],
  ...["http://LOCALHOST/", "http://\u2460\u2461\u2466.0.0.1/", "https://metadata.google.internal/"],
];

/** Addresses to which no message may go; `allowed` is the one of this machine that may be named. */
export function strangeUrls(allowed: string): FixedRequest[] {
  const { port } = new URL(allowed);
  const near = [`http://127.0.0.2:${port}/`, `http://[::1]:${port}/`, `http://localhost:${port}/`];
  return [...NO_ADDRESSES, ...NOT_PUBLIC, ...near].map((url, n) => {
    const hook = { name: `refused-${n}`, url, events: ["*"] };
    return post("B22", url, "/v1/webhooks", hook, [400, 422]);
  });
}
