// Draws with SVG. Shapes and places tell apart what colours tell apart, too.

const SVG = 'http://www.w3.org/2000/svg';

/** An element of SVG. */
export function shape(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A drawing of a fixed height that takes the width it finds; its content is said in words beside it. */
export class Drawing {
  element;
  #height;

  constructor(height) {
    this.#height = height;
    this.element = shape('svg', { class: 'drawing', height, 'aria-hidden': 'true', preserveAspectRatio: 'none' });
  }

  /** Draws anew: `draw(width, height)` gives the shapes. */
  draw(draw) {
    const width = Math.max(this.element.clientWidth, 240);
    this.element.setAttribute('viewBox', `0 0 ${width} ${this.#height}`);
    this.element.replaceChildren(...draw(width, this.#height));
  }
}

/** Calls `draw` as often as a drawing has to be made: smoothly, or once a second for who wants less motion. */
export function animate(scope, draw) {
  const isCalm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  return scope.every(isCalm ? 1000 : 100, () => document.visibilityState === 'visible' && draw());
}

const label = (x, y, text, className = '', anchor = 'start') => shape('text', { x, y, class: className, 'text-anchor': anchor }, text);

/** Three lanes over the last seconds: when news happened, and when each way of getting them brought them. */
export function lanes({ now, span, news, requests, names }, width) {
  const [pushY, newsY, pollY] = [34, 104, 174];
  const at = (time) => width - 12 - ((now - time) / span) * (width - 12);
  const [drawn, labels] = [[], []];
  for (const [y, name] of [[pushY, names.push], [newsY, names.news], [pollY, names.poll]]) {
    drawn.push(shape('line', { x1: 0, x2: width, y1: y, y2: y, class: 'lane' }));
    labels.push(label(0, y - 14, name));
  }
  for (const { time, got } of requests) {
    const x = at(time);
    // A request without news is an empty ring, one with news a full square.
    drawn.push(got ? shape('rect', { x: x - 5, y: pollY - 5, width: 10, height: 10, class: 'poll' })
      : shape('circle', { cx: x, cy: pollY, r: 4, class: 'empty' }));
  }
  for (const { at: happened, pushed, polled } of news) {
    if (pushed) drawn.push(shape('line', { x1: at(happened), y1: newsY, x2: at(pushed), y2: pushY, class: 'way push' }),
      shape('path', { d: `M${at(pushed) - 6} ${pushY + 5}h12l-6 -11z`, class: 'push' }));
    if (polled) drawn.push(shape('line', { x1: at(happened), y1: newsY, x2: at(polled), y2: pollY, class: 'way poll' }));
    drawn.push(shape('circle', { cx: at(happened), cy: newsY, r: 4, class: 'news' }));
  }
  return [...drawn, ...labels];
}

/** A queue against its limit over time. */
export function queue({ points, limit, end, names }, width, height) {
  const last = points.at(-1)?.time ?? 0;
  const span = Math.max(10_000, last * 1.05);
  const top = Math.max(limit * 1.2, ...points.map(({ waiting }) => waiting));
  const [x, y] = [(time) => (time / span) * (width - 16) + 4, (size) => height - 20 - (size / top) * (height - 32)];
  const drawn = [shape('line', { x1: 0, x2: width, y1: y(0), y2: y(0), class: 'lane' }),
    shape('line', { x1: 0, x2: width, y1: y(limit), y2: y(limit), class: 'limit' }), label(4, y(limit) - 5, names.limit)];
  if (points.length > 0) {
    const path = points.map(({ time, waiting }) => `${x(time).toFixed(1)} ${y(waiting).toFixed(1)}`).join('L');
    drawn.push(shape('path', { d: `M${path}L${x(last)} ${y(0)}L${x(points[0].time)} ${y(0)}Z`, class: 'area' }),
      shape('path', { d: `M${path}`, class: 'rising' }));
  }
  if (end) {
    const [ex, ey] = [x(last), y(points.at(-1)?.waiting ?? 0)];
    drawn.push(shape('path', { d: `M${ex - 6} ${ey - 6}l12 12m0 -12l-12 12`, class: 'cross' }),
      label(Math.min(ex + 8, width - 4), Math.max(ey - 10, 12), end, 'strong', ex > width / 2 ? 'end' : 'start'));
  }
  drawn.push(label(4, height - 5, '0 s', 'soft'), label(width - 8, height - 5, `${Math.round(span / 1000)} s`, 'soft', 'end'));
  return drawn;
}
