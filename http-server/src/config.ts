import { type Environment, readStoreSettings, type StoreSettings } from "@tidebase/core";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { LOG_LEVELS, type LogLevel } from "./log.ts";
import { packageVersion } from "./version.ts";

/** What the program was told, flags before variables. */
export interface Config extends StoreSettings {
  readonly host: string;
  readonly port: number;
  readonly logLevel: LogLevel;
  /** Length of a lease when the worker names none; the store's default when undefined. */
  readonly leaseMs: number | undefined;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Whether the server's own terminal shows codes and links of new gates. */
  readonly gateCodes: boolean;
}

/** A flag or variable that cannot be meant so; `message` is for the human. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** What a command line may say; variables and defaults fill the rest. */
interface Flags {
  readonly port?: number;
  readonly host?: string;
  readonly logLevel?: LogLevel;
  readonly gateCodes: boolean;
}

/**
 * Reads flags and variables. Answers the exit code instead when the flags asked for text only
 * (`--help`, `--version`) or were wrong; what there was to say is printed. Throws ConfigError, or
 * StoreError for a setting of the store, for a variable that is wrong or empty: an empty one is a secret
 * or a setting that did not arrive.
 */
export function readConfig(args: readonly string[], env: Environment): Config | number {
  const program = command();
  try {
    program.parse(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    throw error;
  }
  return configOf(program.opts<Flags>(), env);
}

/** The same for flags that are read already. Throws like readConfig. */
export function configOf(flags: Flags, env: Environment): Config {
  return {
    host: flags.host ?? variable(env, "TIDEBASE_HOST") ?? "127.0.0.1",
    port: flags.port ?? portOf(env, "TIDEBASE_PORT") ?? portOf(env, "PORT") ?? 7373,
    logLevel: flags.logLevel ?? logLevelOf(env) ?? "warn",
    leaseMs: leaseMsOf(env),
    allowedHosts: list(env, "TIDEBASE_ALLOWED_HOSTS"),
    allowedOrigins: list(env, "TIDEBASE_ALLOWED_ORIGINS"),
    ...readStoreSettings(env),
    gateCodes: flags.gateCodes,
  };
}

function command(): Command {
  return new Command("tidebase-server")
    .description("The Tidebase HTTP API: a durable record of agent runs over Postgres.")
    .option(
      "-p, --port <port>",
      "port to listen on, 0 for a free one (TIDEBASE_PORT, PORT; 7373)",
      port,
    )
    .option("--host <address>", "address to listen on (TIDEBASE_HOST; 127.0.0.1)")
    .addOption(
      new Option("--log-level <level>", "what stderr gets (TIDEBASE_LOG_LEVEL; warn)").choices(
        LOG_LEVELS,
      ),
    )
    .option("--no-gate-codes", "show no codes and links of new gates on this terminal")
    .version(packageVersion())
    .addHelpText("after", HELP)
    .allowExcessArguments(false)
    .exitOverride();
}

const HELP = `
The store is the database of TIDEBASE_DATABASE_URL, or of DATABASE_URL when it already holds a
Tidebase, or else an embedded Postgres that this program starts by itself (TIDEBASE_HOME).

TIDEBASE_LEASE_MS         length of a lease in milliseconds (60000)
TIDEBASE_ALLOWED_HOSTS    host names to answer to besides localhost, separated by commas
TIDEBASE_ALLOWED_ORIGINS  origins whose pages may call the server, separated by commas
TIDEBASE_PUBLIC_URL       where people reach the server, for links and for cookies of https;
                          the address it listens on by default
TIDEBASE_GATE_FLOOR       the least that any gate asks for: client_form, code or signed_in
                          (client_form; code once the store has a key)
TIDEBASE_WEBHOOK_ALLOW    where webhooks may go besides the public internet: host, host:port or
                          address/bits, separated by commas
TIDEBASE_RETENTION_DAYS   days that the store keeps what has ended, 0 for ever; kept in the store
                          (unset: what it says, 30 when new)

On a terminal the server shows the one-time codes and page link of every gate opened while it runs;
to a pipe or a file it never does.
`;

function port(text: string): number {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number <= 65_535)) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return number;
}

function portOf(env: Environment, name: string): number | undefined {
  const text = variable(env, name);
  if (text === undefined) return undefined;
  try {
    return port(text);
  } catch (cause) {
    throw new ConfigError(`${name} is "${text}": a port is a number from 0 to 65535.`, { cause });
  }
}

function leaseMsOf(env: Environment): number | undefined {
  const text = variable(env, "TIDEBASE_LEASE_MS");
  if (text === undefined) return undefined;
  const leaseMs = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (leaseMs >= 100 && leaseMs <= 3_600_000) return leaseMs;
  throw new ConfigError(`TIDEBASE_LEASE_MS is "${text}": a lease lasts from 100 to 3600000 ms.`);
}

function logLevelOf(env: Environment): LogLevel | undefined {
  const text = variable(env, "TIDEBASE_LOG_LEVEL");
  const level = LOG_LEVELS.find((name) => name === text);
  if (text !== undefined && level === undefined)
    throw new ConfigError(
      `TIDEBASE_LOG_LEVEL is "${text}": it is one of ${LOG_LEVELS.join(", ")}.`,
    );
  return level;
}

function list(env: Environment, name: string): string[] {
  const parts = (variable(env, name) ?? "").split(",");
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

function variable(env: Environment, name: string): string | undefined {
  if (env[name] === "")
    throw new ConfigError(`${name} is set and empty: give it a value or unset it.`);
  return env[name];
}
