/**
 * What the fragments of all pages may use: blocks of `ts` or `js` without a file's name, which are checked as
 * the inside of an async function. Types of the SDK are written `sdk.Run`.
 */
export const EVERYWHERE: Readonly<Record<string, string>> = {
  tide: "sdk.Tidebase",
  run: "sdk.Run<any>",
  runId: "string",
};

/** What the fragments of one page use besides, by its path: yours, or made earlier on the page. */
export const ON_PAGE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "README.md": {
    source: "string",
    words: "number",
    askModel: '(source: string) => Promise<import("@anthropic-ai/sdk").Anthropic.Message>',
    anthropicUsage: "typeof sdk.anthropicUsage",
    digest: "sdk.Workflow<{ source: string }, { source: string }>",
  },
  "docs/quickstart.md": {
    invoice: "{ id: string }",
    sendInvoice: "(invoice: { id: string }) => Promise<void>",
  },
  "docs/webhooks.md": { order: "sdk.RegisteredWorkflow<unknown, unknown>" },
  "skills/tidebase/SKILL.md": {
    readFeed: "(feed: string) => Promise<{ id: string }[]>",
    summarize: "(item: { id: string }) => Promise<string>",
    sendMail: "(text: string, key?: string) => Promise<void>",
  },
  "skills/tidebase/references/step-boundaries.md": {
    order: "{ id: string }",
    chargeCard: "(order: { id: string }, key?: string) => Promise<{ id: string }>",
    sendReceipt: "(order: { id: string }, chargeId: string, key?: string) => Promise<void>",
    search: "(question: string) => Promise<string[]>",
    found: "string[]",
    writeDraft: "(topic: string) => Promise<string>",
  },
  "skills/tidebase/references/effects.md": {
    chat: "{ findByReference(reference: string): Promise<{ id: string } | undefined>; post(message: object): Promise<{ id: string }> }",
    db: "{ query(sql: string, values: unknown[]): Promise<{ rowCount: number }> }",
    sendFax: "(number: string) => Promise<string>",
    charging: "sdk.StepContract",
    order: "{ id: string }",
    url: "string",
    fetchWithRetries: "(url: string, signal: AbortSignal) => Promise<string>",
    makeReport: "(run: sdk.Run<any>) => Promise<string>",
    mailOnCall: "(text: string, key?: string) => Promise<void>",
    pay: "(order: { id: string }) => Promise<string>",
    CardDeclined: "new () => Error",
  },
  "skills/tidebase/references/loops-and-parallel.md": {
    openTickets: "() => Promise<{ id: string }[]>",
    draftAnswer: "(ticket: { id: string }) => Promise<string>",
    postAnswer: "(id: string, answer: string, key?: string) => Promise<void>",
    listPage: "(cursor?: string) => Promise<{ items: string[]; next?: string }>",
    urls: "string[]",
    linksOf: "(url: string) => Promise<string[]>",
    summarize: "(url: string) => Promise<string>",
    search: "(topic: string) => Promise<string[]>",
    condense: "(topic: string, sources: string[]) => Promise<string>",
  },
  "skills/tidebase/references/gates-and-waiting.md": {
    order: "sdk.RegisteredWorkflow<{ id: string }, string>",
    writeReply: "(ticket: unknown) => Promise<string>",
    sendMail: "(text: string, key?: string) => Promise<void>",
    stateOf: "(job: string) => Promise<string>",
  },
  "skills/tidebase/references/queues-and-schedules.md": {
    render: "(invoice: string) => Promise<string>",
    sendMail: "(text: string, key?: string) => Promise<void>",
    salesOf: "(day: string) => Promise<number[]>",
    summarize: "(rows: number[]) => Promise<string>",
    isBuilt: "(build: string, signal: AbortSignal) => Promise<boolean>",
  },
  "skills/tidebase/references/testing.md": {
    digest: "(effects: object) => sdk.Workflow<any, unknown>",
    reply: "sdk.Workflow<any, unknown>",
  },
  "skills/tidebase/references/migrating.md": {
    db: "{ load(id: string): Promise<{ id: string; status: string; chargeId?: string }>; save(order: object): Promise<void> }",
    orderId: "string",
    charge: "(order: object, key?: string) => Promise<{ id: string }>",
    mailReceipt: "(order: object, key?: string) => Promise<void>",
    readRows: "(source: string) => Promise<{ id: string; text: string }[]>",
    ask: "(prompt: string, options?: { signal: AbortSignal }) => Promise<string>",
    pause: "(ms: number, value?: undefined, options?: { signal: AbortSignal }) => Promise<void>",
    writeReport: "(file: string, text: string) => Promise<void>",
    sendMail: "(to: string, text: string, key?: string) => Promise<void>",
  },
  "skills/tidebase/references/migrating-tool-loops.md": {
    question: "string",
    tools: 'import("openai").OpenAI.ChatCompletionTool[]',
    anthropicTools: 'import("@anthropic-ai/sdk").Anthropic.Tool[]',
    callTool: "(run: sdk.Run<any>, key: string, name: string, args: string) => Promise<string>",
    perform: "(name: string, args: unknown, key?: string) => Promise<unknown>",
    anthropic: 'import("@anthropic-ai/sdk").Anthropic',
    messages: 'import("@anthropic-ai/sdk").Anthropic.MessageParam[]',
    turn: "number",
    ui: "{ restart(attempt: number): void; show(text: string): void; final(message: unknown): void }",
  },
  "skills/tidebase/references/migrating-frameworks.md": {
    model: 'Parameters<typeof import("ai").wrapLanguageModel>[0]["model"]',
    tools: 'import("ai").ToolSet',
    question: "string",
    weatherOf: "(city: string) => Promise<string>",
    ui: "{ restart(attempt: number): void; show(text: string): void; final(message: unknown): void }",
    builder:
      '{ compile(options: { checkpointer: import("@langchain/langgraph").BaseCheckpointSaver }): { invoke(input: object, config: object): Promise<object> } }',
    write: "(topic: string, draft: string) => Promise<string>",
    critique: "(draft: string) => Promise<string>",
    chat: 'import("@langchain/core/language_models/chat_models").BaseChatModel',
    history: 'import("@langchain/core/messages").BaseMessage[]',
  },
};
