const COUNTS = [100, 1000, 5000];

/** It restores one state and none of the outputs before: shown, but no best peer. */
const LAST_STATE_ONLY = { kind: "other", title: "LangGraph, the last state only" };

/** Each run is prepared once, and fails again after its first new step: so it is resumed in every round. */
export const resume = {
  id: "W3",
  title: "resume a run that failed, until its first new step's function is called",
  warmUps: 2,
  measures: COUNTS.flatMap((count) => [
    {
      id: `${count}`,
      title: `${count.toLocaleString("en-US")} finished steps`,
      unit: "ms",
      targets: count < 1000 ? [] : [{ most: 0.3, of: "restate" }],
    },
    { id: `${count}.requests`, title: `… HTTP requests until then, of ${count}`, unit: "" },
  ]),
  open: (stage) =>
    stage.systems("W3", { roles: ["client"] }, async ({ name, client }) => {
      const handles = [];
      for (const count of COUNTS) handles.push([count, await client.call("prepare", count)]);
      return {
        ...(name === "langgraph" && LAST_STATE_ONLY),
        async measure() {
          const figures = {};
          for (const [count, handle] of handles) {
            const { ms, requests } = await client.call("resume", { handle, count });
            figures[count] = ms;
            if (requests !== undefined) figures[`${count}.requests`] = requests;
          }
          return figures;
        },
      };
    }),
};
