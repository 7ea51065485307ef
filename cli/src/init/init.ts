import { createTwoFilesPatch } from "diff";
import { type Planned, planAgentFiles, type Wish } from "./agents-md.ts";
import { shippedSkill, shippedSnippet } from "./shipped.ts";
import { planSkill, removeEmptyFolders } from "./skill-files.ts";
import { applyChange, checkWritable } from "./text-file.ts";

/** One file that `init` looks after. */
export interface FileReport {
  readonly file: string;
  readonly change: "none" | "create" | "update" | "remove" | "delete";
  /** Why it is not changed without --force. */
  readonly held?: string;
  readonly diff?: string;
}

/** What a project's files lack, and the doing of it. */
export interface Plan {
  readonly files: readonly FileReport[];
  /** Writes every change. Throws CommandError before the first when one cannot be written. */
  apply(): Promise<void>;
}

/** What `init` would do to the project. Changes nothing. Throws CommandError. */
export async function planInit(
  project: string,
  { skill, ...wish }: Wish & { readonly skill: boolean },
): Promise<Plan> {
  const planned = await planAgentFiles(project, await shippedSnippet(), wish);
  if (skill) planned.push(...(await planSkill(project, await shippedSkill(), wish)));
  const changes = planned.filter(({ file, after }) => file.text !== after);
  return {
    files: planned.map((one) => reportOf(one, wish)),
    async apply() {
      for (const change of changes) await checkWritable(change);
      for (const change of changes) await applyChange(change);
      if (wish.remove) await removeEmptyFolders(project, changes);
    },
  };
}

function reportOf(planned: Planned, { remove }: Wish): FileReport {
  const { file, after, why } = planned;
  const { name, text } = file;
  if (text === after) return { file: name, change: "none" };
  const change =
    after === undefined ? "delete" : text === undefined ? "create" : remove ? "remove" : "update";
  const [from, to] = [
    text === undefined ? "/dev/null" : name,
    after === undefined ? "/dev/null" : name,
  ];
  const patch = createTwoFilesPatch(from, to, text ?? "", after ?? "");
  const diff = patch.replace(/^=+\n/, "");
  return { file: name, change, ...(why === undefined ? {} : { held: why }), diff };
}
