import {
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ReadResourceRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { listResources } from "./resources/list.ts";
import { readResource } from "./resources/read.ts";
import { isTemplate, type ResourceDefinition } from "./resources/resource.ts";
import { openSubscriptions } from "./resources/subscriptions.ts";
import type { Session } from "./session-v1.ts";

/** Lists, templates, contents and subscriptions. The returned function ends the subscriptions. */
export function serveResources(
  session: Session,
  resources: readonly ResourceDefinition[],
): () => void {
  const { server, backend, answer, doing, onError } = session;
  server.setRequestHandler(ListResourcesRequestSchema, (_, extra) =>
    doing(extra, async () => ({
      resources: await listResources({ resources, backend, onError }),
    })),
  );
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: resources
      .filter(isTemplate)
      .map(({ uriTemplate, name, title, description, mimeType }) => {
        return { uriTemplate, name, title, description, mimeType };
      }),
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }, extra) =>
    doing(extra, async () => {
      const reading = {
        resources,
        answer: (tool: string, given: object) => answer(tool, given, extra),
      };
      return { contents: [await readResource(uri, reading)] };
    }),
  );
  const subscriptions = openSubscriptions({
    resources,
    backend,
    onError,
    changed(uri) {
      server.sendResourceUpdated({ uri }).catch(() => {}); // nobody is there
    },
  });
  server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }, extra) =>
    doing(extra, async () => {
      await subscriptions.add(uri);
      return {};
    }),
  );
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
    subscriptions.remove(uri);
    return {};
  });
  return () => subscriptions.end();
}
