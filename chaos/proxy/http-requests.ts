/** A request of HTTP/1.1 that has been sent wholly, body and trailers included. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
}

/** What the reader is in: lines of a head, a body of known length, the size of a chunk, or what follows the last chunk. */
type Place = "head" | "body" | "size" | "trailers";

const LINE_FEED = 10;
/** After a chunk's bytes. */
const LINE_END_BYTES = 2;

/** Reads what a client sends on a connection that is kept alive, wherever it was split (RFC 9112). */
export function httpRequests(onRequest: (request: HttpRequest) => void): (chunk: Buffer) => void {
  let place: Place = "head";
  let head: string[] = [];
  let line = "";
  let skip = 0;

  function ended(): void {
    const [method = "", path = ""] = (head[0] ?? "").split(" ");
    [place, head] = ["head", []];
    onRequest({ method, path });
  }

  function headEnded(): void {
    if (/chunked/i.test(header(head, "transfer-encoding"))) place = "size";
    else {
      skip = Number(header(head, "content-length")) || 0;
      if (skip > 0) place = "body";
      else ended();
    }
  }

  function lineRead(text: string): void {
    if (place === "size") {
      const size = Number.parseInt(text, 16);
      if (size > 0) skip = size + LINE_END_BYTES;
      else place = "trailers";
    } else if (text !== "") {
      if (place === "head") head.push(text);
    } else if (place === "trailers") ended();
    else if (head.length > 0) headEnded();
  }

  /** Where the next thing begins. */
  function skipped(chunk: Buffer, at: number): number {
    const bytes = Math.min(skip, chunk.length - at);
    skip -= bytes;
    if (skip === 0 && place === "body") ended();
    return at + bytes;
  }

  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (skip > 0) {
        at = skipped(chunk, at);
        continue;
      }
      const end = chunk.indexOf(LINE_FEED, at);
      line += chunk.toString("latin1", at, end === -1 ? chunk.length : end);
      if (end === -1) return;
      at = end + 1;
      const whole = line.replace(/\r$/, "");
      line = "";
      lineRead(whole);
    }
  };
}

function header(head: readonly string[], name: string): string {
  const found = head.slice(1).find((line) => line.toLowerCase().startsWith(`${name}:`));
  return found?.slice(name.length + 1).trim() ?? "";
}
