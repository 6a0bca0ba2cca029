// Makes elements. Text is set as text, never as markup.
import { localize } from './i18n.js';

/**
 * An element. `properties` are its own properties (`className`, `type`, `hidden` …), with `dataset` for data attributes,
 * `attributes` for what has no property, and `on` for listeners by event. Children are nodes, or texts.
 */
export function make(tag, { dataset, attributes, on, ...properties } = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  for (const [event, listener] of Object.entries(on ?? {})) element.addEventListener(event, listener);
  element.append(...children);
  return element;
}

/** An element with a text in the reader's language: `phrase` gives the text. */
export function localized(tag, properties, phrase) {
  const element = make(tag, properties);
  localize(element, phrase);
  return element;
}
