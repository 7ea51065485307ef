import { CLIENTS, type ClientProgram, entryOf, launchOf, PACKAGE, SERVER_NAME } from "./clients.ts";

/** The command line that starts the published package. */
const COMMAND = [launchOf().command, ...launchOf().args].join(" ");

/** The file of a client with our entry alone, as the pages show it. */
export function fileWithEntry(id: string): object {
  const client = CLIENTS.find((candidate) => candidate.id === id);
  if (client === undefined) throw new Error(`There is no client ${id}.`);
  return { [client.member]: { [SERVER_NAME]: entryOf(client, launchOf()) } };
}

/** The line by which the client's own command line adds the server. */
export const ADD_BY_COMMAND = {
  "claude-code": `claude mcp add ${SERVER_NAME} -- ${COMMAND}`,
  codex: `codex mcp add ${SERVER_NAME} -- ${COMMAND}`,
  "gemini-cli": `gemini mcp add ${SERVER_NAME} ${COMMAND}`,
  vscode: `code --add-mcp '${JSON.stringify({ name: SERVER_NAME, ...launchOf() })}'`,
} as const;

/** The line by which this package adds itself to a client. */
export function installLine({ id }: Pick<ClientProgram, "id">): string {
  return `npx -y ${PACKAGE} install --client ${id}`;
}

/** The one click in Cursor: opened by the program itself, or by a page that opens it. */
export function cursorLink(kind: "program" | "page"): string {
  const config = Buffer.from(JSON.stringify(launchOf())).toString("base64");
  const query = new URLSearchParams({ name: SERVER_NAME, config });
  return kind === "program"
    ? `cursor://anysphere.cursor-deeplink/mcp/install?${query}`
    : `https://cursor.com/en/install-mcp?${query}`;
}

/** The one click in VS Code, by a page that opens it. */
export function vscodeLink(): string {
  const config = encodeURIComponent(JSON.stringify(launchOf()));
  return `https://vscode.dev/redirect/mcp/install?name=${SERVER_NAME}&config=${config}`;
}
