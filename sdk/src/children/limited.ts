/**
 * Works on all items in their order, on so many at once. After a failure, or when `isOver` says so,
 * no further one is begun; settles when nothing is under way any more, and throws the first failure.
 */
export async function limited<Item>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<void>,
  isOver: () => boolean = () => false,
): Promise<void> {
  const failures: unknown[] = [];
  const left = items.values();
  const one = async () => {
    for (const item of left) {
      if (failures.length > 0 || isOver()) return;
      await work(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, one));
  if (failures.length > 0) throw failures[0];
}
