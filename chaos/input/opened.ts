/** Remembers how to close what was opened; the latest is closed first. */
type Later = (close: () => unknown) => void;

/** Opens things one after the other. What was opened is closed by `close`, or at once when the next fails to open. */
export async function opened<World extends object>(
  open: (later: Later) => Promise<World>,
): Promise<World & { close(): Promise<void> }> {
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (let last = closers.pop(); last !== undefined; last = closers.pop()) await last();
  };
  try {
    return { ...(await open((one) => void closers.push(one))), close };
  } catch (error) {
    await close();
    throw error;
  }
}
