/** The queue that everything of this example goes through. */
export const QUEUE = "reports";

/** The names under which the workflows are registered. */
export const WORKFLOWS = {
  report: "document-report",
  index: "folder-index",
  entry: "index-entry",
  all: "report-all",
} as const;
