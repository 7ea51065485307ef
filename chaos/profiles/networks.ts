import type { Edit } from "../mutants/edit.ts";
import { SDK } from "./files.ts";
import type { Profile } from "./profile.ts";

const SUPPORT = "sdk/test/support.ts";

/** Puts something between the SDK's tests and their server, at the one place where that is opened. */
function between(name: string, app: string): Edit[] {
  return [
    {
      file: SUPPORT,
      search: `import { createApp } from "@tidebase/server";`,
      replace: `import { createApp } from "@tidebase/server";
import { ${name} } from "../../chaos/profiles/apps.ts";`,
    },
    { file: SUPPORT, search: "const app = createApp(db.core);", replace: `const app = ${app};` },
  ];
}

export const delayed: Profile = {
  id: "delayed",
  title: "every answer delayed by up to 50 ms",
  edits: between("delayed", "delayed(createApp(db.core))"),
  fires: ["an answer was delayed"],
  files: SDK,
  telling: 3,
  besides: {},
};

export const twice: Profile = {
  id: "twice",
  title: "every request sent twice",
  edits: between("twice", "twice(createApp(db.core))"),
  fires: ["a request was sent twice"],
  files: SDK,
  telling: 4,
  besides: {
    "a deadline is set with the run and extended under its lease":
      "an extension counts from when it is asked, so the second moves the deadline again",
  },
};

export const replicas: Profile = {
  id: "replicas",
  title: "two server processes in turn, the clock of one 90 s ahead",
  edits: between("skewed", "skewed(db.url)"),
  fires: ["both processes were asked"],
  files: SDK,
  telling: 2,
  besides: {
    "a worker whose run was taken over is told so by its step":
      "it moves the clock, and the sweep of the processes is faster than the second worker",
    "a holder on this machine that is provably gone is not waited for":
      "the sweep of the processes finds it first",
    "a run that finds its gate's time over goes on once the server has ended the gate":
      "the sweep of the processes ends the gate before it is found",
  },
};

/** Two servers that hear of each other's writes by looking alone. */
export const noNotify: Profile = {
  id: "no-notify",
  title: "two servers in turn without LISTEN/NOTIFY",
  edits: [
    ...between("inTurn", "inTurn(createApp(db.core), db.url)"),
    {
      file: "core/src/events/listener.ts",
      search: "    if (client !== undefined) return;",
      replace: "    return;",
    },
  ],
  fires: ["both servers were asked"],
  files: SDK,
  telling: 3,
  besides: {},
};
