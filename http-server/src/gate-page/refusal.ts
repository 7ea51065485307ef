import { type Problem, TidebaseError, toProblem, visible } from "@tidebase/core";
import type { Notice } from "./layout.ts";

/** A failure as the page tells it. */
export interface Refusal {
  readonly status: number;
  readonly notice: Notice;
}

/** Why the page does not do what was asked, in words for the human. */
export class PageRefusal extends Error implements Refusal {
  override readonly name = "PageRefusal";
  readonly status: number;
  readonly notice: Notice;

  constructor(status: number, title: string, detail: string) {
    super(title);
    this.status = status;
    this.notice = { title, detail };
  }
}

/** No session came with the request. */
export const notSignedIn = (): PageRefusal =>
  new PageRefusal(
    403,
    "You are not signed in.",
    "Nothing was decided. Sign in below, then decide.",
  );

/** A session came, with a form that was not made for it. */
export const notOwnForm = (): PageRefusal =>
  new PageRefusal(
    403,
    "This form is not of your session.",
    "Nothing was decided. Read the question again, and decide here.",
  );

/**
 * What to tell a human about a failure. Undefined for what is no answer to a human's
 * act: our own failures, and requests whose host or page may not even see the question.
 */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof PageRefusal) return { status: error.status, notice: error.notice };
  if (!(error instanceof TidebaseError)) return undefined;
  if (error.code === "host_refused" || error.code === "origin_refused") return undefined;
  const problem = toProblem(error);
  const { status, title, detail } = problem;
  if (status >= 500) return undefined;
  return { status, notice: { title, detail, problems: problemsOf(problem) } };
}

interface Issue {
  readonly path: string;
  readonly message: string;
}

function problemsOf({ problems, issues }: Problem): string[] {
  if (Array.isArray(problems)) return problems.map((problem) => visible(String(problem)));
  if (!Array.isArray(issues)) return [];
  return (issues as Issue[]).map(({ path, message }) =>
    visible(path === "" ? message : `${path}: ${message}`),
  );
}
