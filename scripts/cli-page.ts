import { PassThrough } from "node:stream";
import { openProgram, type Program } from "../cli/src/program.ts";
import { openTerminal } from "../cli/src/terminal.ts";

type Command = Program["program"] | Program["program"]["commands"][number];

/** What every command's help says again. */
const GLOBAL_OPTIONS = /\nGlobal Options:\n(?: {2}.*\n)+/;
const HELP_OPTION = /(?<=\n) {2}-h, --help .*\n/;
const NO_OPTIONS = /\nOptions:\n(?=\n)/;

/** The page of the command line: every command as its own `--help` tells it. */
export function cliPage(): string {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const terminal = openTerminal({ stdin, stdout, stderr }, {});
  const { program } = openProgram({
    ...{ terminal, env: {}, cwd: ".", version: "0.0.0" },
    leaving: new Set(),
  });
  const groups = program.commands;
  const rows = groups.map(
    (command) =>
      `| [\`${command.name()}\`](#tidebase-${command.name()}) | ${command.description()} |`,
  );
  return `# The command line

Generated from the commands of \`cli/\` by \`npm run generate\`.

\`npm install tidebase\` brings the command \`tidebase\`; \`npx tidebase …\` runs it in a project. Every command takes \`--json\` and
never asks anything where no terminal is.

| command | |
| --- | --- |
${rows.join("\n")}

${block(program)}
${groups.map(section).join("\n")}`;
}

function section(command: Command): string {
  const { commands } = command;
  if (commands.length === 0) return `## tidebase ${command.name()}\n\n${block(command)}`;
  const alone = command.options.length > 0 ? `${block(command)}\n` : ""; // it does something by itself, too
  const own = commands.map(
    (one) => `### tidebase ${command.name()} ${one.name()}\n\n${block(one)}`,
  );
  return `## tidebase ${command.name()}\n\n${sentence(command.description())}\n\n${alone}${own.join("\n")}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function block(command: Command): string {
  return `\`\`\`text\n${helpOf(command).trim()}\n\`\`\`\n`;
}

/** With what was added behind it, which only printing shows. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 110,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  const lines = text.replace(/ +$/gm, "");
  if (command.parent === null) return lines;
  const own = lines.replace(GLOBAL_OPTIONS, "\n").replace(HELP_OPTION, "").replace(NO_OPTIONS, "");
  return own.replace(/\n{3,}/g, "\n\n");
}
