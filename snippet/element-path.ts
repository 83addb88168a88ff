// Where an element is, as a selector that finds it again: ids and class names that a person wrote, else its place.
import { CLASSES_MAX, DEPTH_MAX } from './limits.ts';

/** Generated names (`css-1x2y3z`, `:r1:`) change with every build: they nearly always have a digit or a sign. */
const NAME = /^[a-z][a-z_-]*$/i;

function stepOf(element: Element): string {
  const tag = element.localName;
  const names = [...element.classList].filter((name) => NAME.test(name)).slice(0, CLASSES_MAX);
  const alike = [...(element.parentElement?.children ?? [])].filter((other) => other.localName === tag);
  const place = alike[1] ? `:nth-of-type(${alike.indexOf(element) + 1})` : '';
  return [tag, ...names].join('.') + place;
}

/** From the nearest ancestor with an id (or the document) down to the element. */
export function pathOf(element: Element, depth = DEPTH_MAX): string {
  const { id, parentElement } = element;
  if (NAME.test(id)) return `#${id}`;
  const above = parentElement && depth > 1 ? `${pathOf(parentElement, depth - 1)}>` : '';
  return above + stepOf(element);
}
