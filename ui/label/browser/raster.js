// --- The rules of the tools: which pixels of the mask change --------------------------------------------------------
//
// A sheet is { mask, width, height }: class ids at the photo's own size, row by row. Positions are whole quarters of a
// mask pixel, so that every rule is exact in integers; the centre of pixel (x, y) is (4x + 2, 4y + 2). A rectangle is
// [left, top, right, bottom], without its right column and bottom row. Every tool returns the rectangle it changed.

const PER_PIXEL = 4;
const VOID = 255;

const union = (a, b) =>
  !a ? b : !b ? a : [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
const firstFrom = (position) => Math.ceil((position - 2) / PER_PIXEL);
const lastUpTo = (position) => Math.floor((position - 2) / PER_PIXEL);
const pixelUnder = (position) => Math.floor(position / PER_PIXEL);
const within = (value, least, most) => Math.min(most, Math.max(least, value));

// Brush: every pixel whose centre is at most size / 2 from the segment a-b, and the pixels under a and b.
function paintSegment(sheet, value, size, [ax, ay], [bx, by]) {
  const { mask, width, height } = sheet;
  const radius = 2 * size, reach = radius * radius;
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy, band = radius * Math.sqrt(length);
  const isInside = (x, y) => {
    const wx = PER_PIXEL * x + 2 - ax, wy = PER_PIXEL * y + 2 - ay, along = wx * dx + wy * dy;
    if (along <= 0) return wx * wx + wy * wy <= reach;
    if (along >= length) return (wx - dx) ** 2 + (wy - dy) ** 2 <= reach;
    return (dx * wy - dy * wx) ** 2 <= reach * length;
  };
  const left = Math.max(0, firstFrom(Math.min(ax, bx) - radius));
  const right = Math.min(width - 1, lastUpTo(Math.max(ax, bx) + radius));
  const top = Math.max(0, firstFrom(Math.min(ay, by) - radius));
  const bottom = Math.min(height - 1, lastUpTo(Math.max(ay, by) + radius));
  for (let y = top; y <= bottom; y++) {
    let from = left, to = right;
    if (dy !== 0) {
      // Where this row crosses the endless band around the segment, a pixel more on either side: what is between is
      // tested. Without it a long slanted stroke would test its whole bounding box.
      const wy = PER_PIXEL * y + 2 - ay, one = (dx * wy - band) / dy, other = (dx * wy + band) / dy;
      from = Math.max(left, firstFrom(ax + Math.min(one, other)) - 1);
      to = Math.min(right, lastUpTo(ax + Math.max(one, other)) + 1);
    }
    while (from <= to && !isInside(from, y)) from++;
    while (to >= from && !isInside(to, y)) to--;
    if (from <= to) mask.fill(value, y * width + from, y * width + to + 1);
  }
  let rect = left <= right && top <= bottom ? [left, top, right + 1, bottom + 1] : null;
  for (const [x, y] of [[pixelUnder(ax), pixelUnder(ay)], [pixelUnder(bx), pixelUnder(by)]]) {
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    mask[y * width + x] = value;
    rect = union(rect, [x, y, x + 1, y + 1]);
  }
  return rect;
}

// Polygon: every pixel whose centre is inside by the even-odd rule; a centre on an edge belongs to the side on its right
// or below.
function paintPolygon(sheet, value, points) {
  const { mask, width, height } = sheet;
  const ys = points.map(([, y]) => y);
  const top = Math.max(0, firstFrom(Math.min(...ys))), bottom = Math.min(height - 1, lastUpTo(Math.max(...ys)));
  let rect = null;
  for (let y = top; y <= bottom; y++) {
    const centre = PER_PIXEL * y + 2, crossings = [];
    points.forEach(([bx, by], at) => {
      const [ax, ay] = points[(at + points.length - 1) % points.length];
      if (ay <= centre === by <= centre) return;
      const rise = by - ay;
      crossings.push(Math.ceil(((ax - 2) * rise + (centre - ay) * (bx - ax)) / (PER_PIXEL * rise)));
    });
    crossings.sort((a, b) => a - b);
    for (let at = 0; at + 1 < crossings.length; at += 2) {
      const from = Math.max(0, crossings[at]), to = Math.min(width, crossings[at + 1]);
      if (from >= to) continue;
      mask.fill(value, y * width + from, y * width + to);
      rect = union(rect, [from, y, to, y + 1]);
    }
  }
  return rect;
}

// Fill: the pixels of one value that hang together over their edges (4-connected) with the one at (x, y).
function paintConnected(sheet, value, x, y) {
  const { mask, width, height } = sheet;
  const before = mask[y * width + x];
  if (before === value) return null;
  const seeds = [y * width + x];
  let rect = null;
  const seed = (start, end) => {
    for (let at = start; at < end; at++) {
      if (mask[at] === before && (at === start || mask[at - 1] !== before)) seeds.push(at);
    }
  };
  while (seeds.length) {
    const at = seeds.pop();
    if (mask[at] !== before) continue;
    const row = Math.floor(at / width), first = row * width;
    let from = at, to = at + 1;
    while (from > first && mask[from - 1] === before) from--;
    while (to < first + width && mask[to] === before) to++;
    mask.fill(value, from, to);
    rect = union(rect, [from - first, row, to - first, row + 1]);
    if (row > 0) seed(from - width, to - width);
    if (row + 1 < height) seed(from + width, to + width);
  }
  return rect;
}

// Region: the pixels whose centre lies in one region of a map, which may be smaller than the photo.
class RegionMap {
  constructor({ labels, width, height, levels }, sheet) {
    Object.assign(this, { labels, width, height, levels, sheet });
    this.columns = RegionMap.places(sheet.width, width);
    this.rows = RegionMap.places(sheet.height, height).map((row) => row * width);
    this.boxes = levels.map(() => null);
  }

  // The column of the map at the centre of every column of the photo: floor((x + 1/2) * width / photo's width).
  static places(full, reduced) {
    return Uint32Array.from({ length: full }, (_, at) => Math.floor(((2 * at + 1) * reduced) / (2 * full)));
  }

  at(level, x, y) {
    return this.levels[level][this.labels[this.rows[y] + this.columns[x]]];
  }

  // The rectangle of the photo in which a region lies.
  box(level, id) {
    this.boxes[level] ??= this.allBoxes(level);
    const [left, top, right, bottom] = this.boxes[level].subarray(4 * id, 4 * id + 4);
    const { width, height } = this.sheet, across = width / this.width, down = height / this.height;
    return [
      Math.max(0, Math.floor(left * across) - 1), Math.max(0, Math.floor(top * down) - 1),
      Math.min(width, Math.ceil((right + 1) * across) + 1), Math.min(height, Math.ceil((bottom + 1) * down) + 1),
    ];
  }

  allBoxes(level) {
    const group = this.levels[level], boxes = new Int32Array(4 * (group.reduce((a, b) => Math.max(a, b), 0) + 1));
    for (let at = 0; at < boxes.length; at += 4) boxes.set([this.width, this.height, -1, -1], at);
    for (let y = 0, at = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++, at++) {
        const place = 4 * group[this.labels[at]];
        if (x < boxes[place]) boxes[place] = x;
        if (y < boxes[place + 1]) boxes[place + 1] = y;
        if (x > boxes[place + 2]) boxes[place + 2] = x;
        if (y > boxes[place + 3]) boxes[place + 3] = y;
      }
    }
    return boxes;
  }

  paint(value, level, id) {
    const { mask, width } = this.sheet, rect = this.box(level, id);
    for (let y = rect[1]; y < rect[3]; y++) {
      for (let x = rect[0]; x < rect[2]; x++) if (this.at(level, x, y) === id) mask[y * width + x] = value;
    }
    return rect;
  }
}

// --- Masks as runs: one 32-bit number each, 256 * length + value, little-endian, row by row --------------------------

const LONGEST_RUN = 2 ** 24 - 1;

function encodeRuns(mask) {
  // Four equal pixels are one comparison: large even areas are most of a mask.
  const words = new Uint32Array(mask.buffer, 0, mask.length >> 2);
  let runs = new Uint32Array(4096), count = 0;
  for (let at = 0; at < mask.length;) {
    const value = mask[at], word = value * 0x01010101;
    let end = at + 1;
    while (end & 3 && end < mask.length && mask[end] === value) end++;
    if (!(end & 3)) {
      let place = end >> 2;
      while (place < words.length && words[place] === word) place++;
      end = Math.max(end, place << 2);
      while (end < mask.length && mask[end] === value) end++;
    }
    while (at < end) {
      const length = Math.min(LONGEST_RUN, end - at);
      if (count === runs.length) {
        const more = new Uint32Array(2 * count);
        more.set(runs);
        runs = more;
      }
      runs[count++] = length * 256 + value;
      at += length;
    }
  }
  return runs.slice(0, count);
}

function decodeRuns(runs, length) {
  const mask = new Uint8Array(4 * Math.ceil(length / 4)).subarray(0, length);
  let at = 0;
  for (const run of runs) mask.fill(run & 255, at, at += run >>> 8);
  return mask;
}

const areEqual = (a, b) => a.length === b.length && a.every((value, at) => value === b[at]);

function toBase64(runs) {
  const bytes = new Uint8Array(runs.buffer, runs.byteOffset, runs.byteLength), parts = [];
  for (let at = 0; at < bytes.length; at += 0x8000) parts.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
  return btoa(parts.join(""));
}
