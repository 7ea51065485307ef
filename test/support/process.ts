import type { ChildProcess } from "node:child_process";

/**
 * What a program's output first matches. Throws with everything it printed when it ends before that.
 */
export function untilPrinted(child: ChildProcess, pattern: RegExp): Promise<RegExpMatchArray> {
  return new Promise((resolve, reject) => {
    let printed = "";
    const heard = (chunk: Buffer | string) => {
      printed += chunk.toString();
      const match = printed.match(pattern);
      if (match !== null) resolve(match);
    };
    child.stdout?.on("data", heard);
    child.stderr?.on("data", heard);
    child.once("error", reject);
    child.once("exit", (code) =>
      reject(new Error(`It ended with ${code} and printed: ${printed}`)),
    );
  });
}

/** Ends the program with this signal and waits until it is gone; its exit code, null after a kill. */
export function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
    else {
      child.once("exit", (code) => resolve(code));
      child.kill(signal);
    }
  });
}
