// Pictures to send: made small enough for the server, in the browser.

/** What the server takes, by the first bytes: the name of a file may lie about its type. */
const TYPES = [
  ['image/png', /^\x89PNG\r\n\x1a\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8[79]a/],
  ['image/webp', /^RIFF[^]{4}WEBP/],
];

const SIDES = [1600, 1200, 900, 640, 480];
const QUALITIES = [0.85, 0.7];

/** The picture cannot be sent; `key` is the key of the words that say why. */
export class ImageRefused extends Error {
  constructor(key) {
    super(key);
    this.name = 'ImageRefused';
    this.key = key;
  }
}

/** Bytes as text, a character each; in pieces, as a function takes only so many arguments. */
function binary(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return text;
}

const readAsBinary = async (blob) => binary(new Uint8Array(await blob.arrayBuffer()));

const heading = (type) => `data:${type};base64,`;

/** How long the data URL of that many bytes is. */
const lengthOf = (type, size) => heading(type).length + 4 * Math.ceil(size / 3);

const dataUrl = async (type, blob) => heading(type) + btoa(await readAsBinary(blob));

function draw(bitmap, side) {
  const scale = side / Math.max(bitmap.width, bitmap.height);
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const toBlob = (canvas, type, quality) => new Promise((resolve) => { canvas.toBlob(resolve, type, quality); });

async function encode(canvas, quality) {
  const blob = await toBlob(canvas, 'image/webp', quality);
  if (blob?.type === 'image/webp') return blob;
  // Not every browser writes WebP. JPEG knows no transparency: on white, or it would be black.
  const context = canvas.getContext('2d');
  context.globalCompositeOperation = 'destination-over';
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  return toBlob(canvas, 'image/jpeg', quality);
}

/**
 * The data URL of an image file: at most `max_image_size` characters, the longer side at most `max_image_side` pixels.
 * What fits is taken as it is; what does not is drawn smaller until it does, except GIF, which would stop moving.
 */
export async function prepareImage(file, { max_image_size, max_image_side }) {
  let bitmap;
  let type;
  try {
    const head = await readAsBinary(file.slice(0, 16));
    type = TYPES.find(([, start]) => start.test(head))?.[0];
    bitmap = await createImageBitmap(file);
  } catch {
    throw new ImageRefused('imageNotAnImage');
  }
  try {
    const longer = Math.max(bitmap.width, bitmap.height);
    if (type && longer <= max_image_side && lengthOf(type, file.size) <= max_image_size) return await dataUrl(type, file);
    if (type === 'image/gif') throw new ImageRefused('imageTooLarge');
    for (const side of new Set(SIDES.map((step) => Math.min(step, longer, max_image_side)))) {
      const canvas = draw(bitmap, side);
      for (const quality of QUALITIES) {
        const blob = await encode(canvas, quality);
        if (blob && lengthOf(blob.type, blob.size) <= max_image_size) return await dataUrl(blob.type, blob);
      }
    }
    throw new ImageRefused('imageTooLarge');
  } finally {
    bitmap.close();
  }
}
