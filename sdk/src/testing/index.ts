export type { TestClock } from "./clock.ts";
export { type CrashedRun, crashAt, crashAtEveryStep } from "./crash.ts";
export type { CrashAtOptions, CrashOptions } from "./crash-options.ts";
export { type CountedEffect, type EffectRecorder, recordEffects } from "./effects.ts";
export type { OpenGate, TestAnswer, TestDecision, TestGates } from "./gates.ts";
export type { Boundary, StepName, When } from "./life.ts";
export type {
  CrashReport,
  FailedRun,
  RenamedSteps,
  RepeatedEffect,
  RepeatedStep,
} from "./report.ts";
export { openTestStore, type TestStore, type TestStoreOptions } from "./store.ts";
export type { TestDuration } from "./time.ts";
export type { TestedWorkflow, Worked, WorkOnOptions } from "./work.ts";
