import { TidebaseError } from "./errors.ts";
import { tell } from "./unheard.ts";
import type { OnWait } from "./waits/waits.ts";

/** All optional: without options the environment decides, then the local default. */
export interface TidebaseOptions {
  /** Address of the server. Else TIDEBASE_URL, else http://127.0.0.1:7373. */
  readonly url?: string;
  /** Else TIDEBASE_API_KEY. A local server without keys needs none. */
  readonly apiKey?: string;
  /** Version of the workflows' code, such as a commit. Else TIDEBASE_VERSION. */
  readonly version?: string;
  /** Length of a lease in milliseconds; by default the server decides (60 s). */
  readonly leaseMs?: number;
  /**
   * How runs wait at gates, sleeps and signals: `suspend` (the default) frees the process, `block`
   * keeps it. Runs and single waits may say otherwise.
   */
  readonly onWait?: OnWait;
  /** False keeps the command line of this process to itself. */
  readonly resumeHint?: boolean;
  /** Used for every request instead of undici's client. */
  readonly fetch?: typeof fetch;
  /** One request is given up, and sent again, after so long. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** How long a finished step is kept and sent again while the server is away. Default 10 min. */
  readonly giveUpAfterMs?: number;
  /** Told, in one line, what a person at the terminal should know. Default: standard error. */
  readonly log?: (line: string) => void;
}

/** The options with everything decided. */
export interface Config {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly version: string | undefined;
  readonly leaseMs: number | undefined;
  readonly onWait: OnWait;
  readonly resumeHint: boolean;
  readonly fetch: typeof fetch | undefined;
  readonly requestTimeoutMs: number;
  readonly giveUpAfterMs: number;
  readonly log: (line: string) => void;
}

const DEFAULT_URL = "http://127.0.0.1:7373";

/** Options, then environment, then defaults. Throws `config_invalid` and names the option. */
export function readConfig(
  options: TidebaseOptions,
  environment: Readonly<Record<string, string | undefined>> = ambient(),
): Config {
  const log = options.log ?? ((line) => void process.stderr.write(`${line}\n`));
  const url = options.url ?? variable(environment, "TIDEBASE_URL") ?? DEFAULT_URL;
  return {
    url: address(url),
    apiKey: headerSafe(options.apiKey ?? variable(environment, "TIDEBASE_API_KEY")),
    version: options.version ?? variable(environment, "TIDEBASE_VERSION"),
    leaseMs: options.leaseMs,
    onWait: options.onWait ?? "suspend",
    resumeHint: options.resumeHint ?? true,
    fetch: options.fetch,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    giveUpAfterMs: options.giveUpAfterMs ?? 600_000,
    log: (line) => tell(() => log(line)),
  };
}

function ambient(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** An empty variable is a secret that was not filled in, never a wish for the default. */
function variable(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
): string | undefined {
  const value = environment[name];
  if (value === undefined || value.trim() !== "") return value;
  throw new TidebaseError("config_invalid", `${name} is set but empty. Fill it in or unset it.`, {
    variable: name,
  });
}

/** Without the line break that a secret's file ends with; says nothing of the key itself. */
function headerSafe(apiKey: string | undefined): string | undefined {
  const key = apiKey?.trim();
  if (key === undefined || /^[\x21-\x7e]+$/.test(key)) return key;
  const problem =
    key === "" ? "is empty" : "holds a space, a line break or a character outside of ASCII";
  throw new TidebaseError(
    "config_invalid",
    `The API key (option apiKey, or TIDEBASE_API_KEY) ${problem}. Give it as \`npx tidebase keys create\` printed it.`,
    { option: "apiKey" },
  );
}

/** Without a slash at its end, so that paths can follow. */
function address(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed?.protocol === "http:" || parsed?.protocol === "https:")
    return parsed.href.replace(/\/+$/, "");
  throw new TidebaseError(
    "config_invalid",
    `"${url}" is no address of a server. Use one such as ${DEFAULT_URL} (option url, or TIDEBASE_URL).`,
    { url },
  );
}
