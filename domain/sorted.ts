// Short lists that stand in one order and seldom grow, several in every buyer: a grown one is exactly as long as what it holds,
// where a push would keep room for seventeen.

/** A list with one more item, at its place by a name that the others are sorted by, too. */
export function inserted<Item>(
  list: readonly Item[],
  item: Item,
  nameOf: (item: Item) => string | number,
): Item[] {
  const name = nameOf(item);
  const at = list.findIndex((other) => nameOf(other) > name);
  return at < 0 ? list.concat([item]) : list.toSpliced(at, 0, item);
}
