// Avatars: twelve animals that are drawn here, pictures of users, and a silhouette as the default.
// Every animal is a table of flat shapes on a soft round background, in a square of 40 by 40.

const SVG = 'http://www.w3.org/2000/svg';

const DARK = '#2f2a33';
const WHITE = '#fffdf8';

const circle = (fill, cx, cy, r) => ['circle', { fill, cx, cy, r }];
const oval = (fill, cx, cy, rx, ry) => ['ellipse', { fill, cx, cy, rx, ry }];
const area = (fill, d) => ['path', { fill, d }];
const line = (stroke, d, width = 1.2) => ['path', { fill: 'none', stroke, d, 'stroke-width': width, 'stroke-linecap': 'round' }];

/** A shape and its mirror image. */
const pair = ([tag, attributes]) => ['g', {}, [[tag, attributes], [tag, { ...attributes, transform: 'matrix(-1 0 0 1 40 0)' }]]];

/** Two dark eyes, each with a glint on its right side. */
const eyes = (x, y, r = 1.7) => ['g', {}, [
  pair(circle(DARK, x, y, r)),
  circle(WHITE, x + 0.5, y - 0.6, r * 0.35),
  circle(WHITE, 40 - x + 0.5, y - 0.6, r * 0.35),
]];

/** A smile of two bows below a nose at `y`. */
const smile = (y, color = DARK) => pair(line(color, `M20 ${y}v.8q-.2 2-2 2-1.3 0-1.8-1`));

const ANIMALS = {
  fox: [
    circle('#fde3c4', 20, 20, 20),
    pair(area('#e8702a', 'M7.5 6Q6 14 8 21L20 14Q13 7.5 7.5 6Z')),
    pair(area('#5a3426', 'M9.2 9.5Q8.8 14 9.8 17L15 13.5Q12.5 11 9.2 9.5Z')),
    area('#f08036', 'M20 35.5C14 33 6 28 7.5 20.5Q10 13 20 13T32.5 20.5C34 28 26 33 20 35.5Z'),
    pair(area(WHITE, 'M20 35.5C14.5 33.2 7.5 29 7.3 22.5Q16 21.5 20 30.5Z')),
    eyes(14.2, 22),
    oval(DARK, 20, 33.4, 2.5, 1.9),
  ],
  cat: [
    circle('#fbdf9f', 20, 20, 20),
    pair(area('#4b4757', 'M8.5 6.5Q7 13 8 22L19 14Q14 8.5 8.5 6.5Z')),
    pair(area('#f0a3ad', 'M10.2 10.2Q9.7 13.5 10.2 16.5L14.5 13.5Q12.5 11.5 10.2 10.2Z')),
    oval('#4b4757', 20, 23, 13, 11),
    pair(oval('#d9e86b', 14.5, 22, 2.9, 3)),
    pair(oval(DARK, 14.5, 22, 1.1, 2.6)),
    area('#f0a3ad', 'M18.3 26h3.4q.3 1-1.7 2.2-2-1.2-1.7-2.2Z'),
    smile(28, '#d8d3e2'),
    pair(line('#d8d3e2', 'M12 27.3L5 26M12 29.3L5.5 30.5', 0.7)),
  ],
  dog: [
    circle('#c9e3fa', 20, 20, 20),
    oval('#d9a066', 20, 21, 11.5, 12.5),
    area(WHITE, 'M18.3 9Q20 8.2 21.7 9Q22 18 25 23.5H15Q18 18 18.3 9Z'),
    oval(WHITE, 20, 26.5, 7, 6),
    pair(area('#8a5732', 'M14.5 9.5C8 6.5 4.5 12 4.5 18.5Q4.5 27 8.5 27C12.5 26 10.5 16 14.5 9.5Z')),
    eyes(14.6, 19.5),
    area('#e9697b', 'M17.8 29.5h4.4v2.8a2.2 2.2 0 0 1-4.4 0Z'),
    oval(DARK, 20, 24.3, 2.9, 2.1),
    pair(line(DARK, 'M20 26v1.5q-.3 2-2.3 2-1.5 0-2-1.1')),
  ],
  bear: [
    circle('#f7dfa5', 20, 20, 20),
    pair(circle('#8b5836', 10, 11.5, 5)),
    pair(circle('#d8a87c', 10, 11.5, 2.7)),
    oval('#9a633d', 20, 22, 13.2, 12),
    oval('#ecc9a0', 20, 27, 6.2, 5.2),
    eyes(14, 20.5),
    oval(DARK, 20, 24.8, 2.6, 1.8),
    smile(26.5),
  ],
  panda: [
    circle('#bfe6c8', 20, 20, 20),
    pair(circle('#34323b', 9.8, 10.8, 4.9)),
    oval(WHITE, 20, 21.5, 13.2, 12),
    pair(['ellipse', { fill: '#34323b', cx: 14, cy: 21, rx: 3.3, ry: 4.2, transform: 'rotate(32 14 21)' }]),
    pair(circle(WHITE, 14.6, 20.5, 1.6)),
    pair(circle(DARK, 14.8, 20.6, 1)),
    oval(DARK, 20, 26, 2.1, 1.5),
    smile(27.3),
  ],
  koala: [
    circle('#dcecc0', 20, 20, 20),
    pair(circle('#8f9bab', 8.8, 15, 6.8)),
    pair(circle('#f3c7cf', 9.2, 15.3, 4.2)),
    oval('#a3afbe', 20, 22, 11.8, 11.6),
    eyes(14.2, 20.5),
    oval('#3b3945', 20, 23.8, 3, 4.4),
    oval('#6b6877', 19.2, 21.8, 0.9, 1.3),
    line(DARK, 'M17.2 30Q20 31.8 22.8 30'),
    pair(circle('#f3c7cf', 12, 25.5, 1.9)),
  ],
  rabbit: [
    circle('#f9c6d3', 20, 20, 20),
    pair(['ellipse', { fill: WHITE, cx: 14.5, cy: 11, rx: 3.6, ry: 9, transform: 'rotate(-10 14.5 11)' }]),
    pair(['ellipse', { fill: '#f4a3b5', cx: 14.5, cy: 11.5, rx: 1.7, ry: 6.4, transform: 'rotate(-10 14.5 11.5)' }]),
    oval(WHITE, 20, 25.5, 11, 10),
    eyes(15, 24),
    pair(circle('#fbd0d9', 12.6, 28, 2)),
    area('#ee8199', 'M18.3 27h3.4q.2 1-1.7 2-1.9-1-1.7-2Z'),
    smile(29),
  ],
  tiger: [
    circle('#bfe8e4', 20, 20, 20),
    pair(circle('#f09a2e', 10, 11.5, 4.8)),
    pair(circle(WHITE, 10.2, 11.8, 2.5)),
    oval('#f8a93c', 20, 21.8, 13.2, 12),
    pair(area(WHITE, 'M20 24C14 23 10.5 26 11.5 30.5Q15 34 20 33.8Z')),
    area(DARK, 'M18.9 9.8h2.2L20 17Z'),
    pair(area(DARK, 'M14.7 10.9L16.6 10.2L17.2 14.5ZM6.9 20.3L7.2 18.5L12 20.5ZM7 24.8L6.8 23L11.5 23.8Z')),
    eyes(14.8, 20.2),
    area('#e2727c', 'M17.5 24.5h5q.3 1.3-2.5 2.8-2.8-1.5-2.5-2.8Z'),
    smile(27.2),
  ],
  owl: [
    circle('#d6d2f4', 20, 20, 20),
    area('#7d5a43', 'M7.5 7Q12 10.5 20 10.5T32.5 7Q34 12 33 20C33 30 27 35 20 35S7 30 7 20Q6 12 7.5 7Z'),
    area('#c99f74', 'M20 35C14.5 35 11 32 10 27.5Q20 22 30 27.5C29 32 25.5 35 20 35Z'),
    line('#7d5a43', 'M15 30.5q1 1.3 2 0M19 30.5q1 1.3 2 0M23 30.5q1 1.3 2 0M17 33q1 1.2 2 0M21 33q1 1.2 2 0', 0.9),
    pair(circle('#f3e2c4', 13.8, 19.5, 6.2)),
    pair(circle('#f7b733', 13.8, 19.5, 4)),
    eyes(13.8, 19.5, 2.5),
    area('#f08c2e', 'M17.8 22.5Q20 21 22.2 22.5L20 27.5Z'),
  ],
  penguin: [
    circle('#c4e7f8', 20, 20, 20),
    oval('#34435e', 20, 21, 13, 13.5),
    area(WHITE, 'M20 17C17.5 12.8 9.8 14 10 21C10 29 14.5 33 20 33S30 29 30 21C30.2 14 22.5 12.8 20 17Z'),
    eyes(15, 20.5),
    pair(circle('#f9bfc6', 13.2, 25, 2)),
    area('#f59a23', 'M16.5 24Q20 21.2 23.5 24Q22 28 20 28T16.5 24Z'),
    line('#c9730f', 'M17.2 24.7Q20 25.7 22.8 24.7', 0.8),
  ],
  frog: [
    circle('#fdedaa', 20, 20, 20),
    pair(circle('#63b548', 12, 12.5, 5.6)),
    oval('#6fc453', 20, 23.5, 14.2, 10.8),
    pair(circle(WHITE, 12, 12.3, 3.7)),
    eyes(12.6, 12.6, 2.2),
    pair(circle('#f5a9a0', 9.8, 24.5, 2.2)),
    pair(circle('#3f7f30', 18.6, 21.2, 0.6)),
    line('#2f5e25', 'M12 25.5Q20 32.5 28 25.5', 1.5),
  ],
  whale: [
    circle('#cdeef3', 20, 20, 20),
    line('#5aa9e0', 'M16 13V8.5M16 9.5Q15.5 5.5 11.5 7M16 9.5Q16.5 5.5 20.5 7', 1.6),
    area('#3f7fc4', 'M29.5 24Q31.5 20 30.5 16.5Q26 16 26.5 11.5Q30.5 10.8 32 14Q33 10.5 37 10.8Q38 15.5 34 17C35.5 27 30 33 20.5 33Z'),
    area('#4b91d8', 'M4.5 23C4.5 17 9.5 14 16 14C24 14 26 20 31 23.5C31 30 26 33 18 33C9.5 33 4.5 29 4.5 23Z'),
    area(WHITE, 'M5 25.5C10 28.5 17 27.5 22.5 32.6Q20.5 33 18 33C10.5 33 6 30 5 25.5Z'),
    line('#2d5f9a', 'M5 25.5Q8 27.3 12 26.7'),
    circle(DARK, 11.5, 21.5, 1.8),
    circle(WHITE, 12, 20.9, 0.6),
  ],
};

const SILHOUETTE = [
  circle('#c3cad6', 20, 20, 20),
  circle('#f4f6fa', 20, 16, 6.6),
  area('#f4f6fa', 'M7.5 35.6a12.5 11 0 0 1 25 0A20 20 0 0 1 7.5 35.6Z'),
];

/** The names of the animals, as the server knows them. */
export const AVATARS = Object.keys(ANIMALS);

/** A shape, and all in it, as SVG. Nothing here comes from users. */
function svg([tag, attributes, parts = []]) {
  const written = Object.entries(attributes).map(([name, value]) => ` ${name}="${value}"`).join('');
  return `<${tag}${written}>${parts.map(svg).join('')}</${tag}>`;
}

const TYPE = 'image/svg+xml';
const drawing = (shapes) => svg(['svg', { xmlns: SVG, viewBox: '0 0 40 40', width: 80, height: 80 }, shapes]);

/** Elements share a drawing by way of the page's style: one for each avatar, however many lines show it. */
function shareDrawings() {
  const rules = Object.entries({ '': SILHOUETTE, ...ANIMALS }).map(
    ([avatar, shapes]) => `.avatar[data-avatar="${avatar}"] { background-image: url("data:${TYPE},${encodeURIComponent(drawing(shapes))}"); }`,
  );
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules.join('\n'));
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}
shareDrawings();

/** The default, in place of a picture that the server has dropped. */
function silhouette() {
  const element = document.importNode(new DOMParser().parseFromString(drawing(SILHOUETTE), TYPE).documentElement, true);
  element.setAttribute('class', 'avatar');
  element.setAttribute('aria-hidden', 'true');
  return element;
}

/** How the addresses of pictures begin. They are used relative to the page, which may be below a path prefix. */
const PICTURES = '/avatars/';

/** The avatar of a user, as an element of class `avatar`. It is decoration: the name stands beside it. */
export function avatarOf({ avatar }) {
  if (typeof avatar !== 'string' || !avatar.startsWith(PICTURES)) {
    const element = document.createElement('span');
    element.className = 'avatar';
    element.dataset.avatar = Object.hasOwn(ANIMALS, avatar ?? '') ? avatar : '';
    return element;
  }
  const image = document.createElement('img');
  image.className = 'avatar';
  image.alt = '';
  image.addEventListener('error', () => image.replaceWith(silhouette()), { once: true });
  image.src = avatar.slice(1);
  return image;
}
