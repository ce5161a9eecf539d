// --- What is seen: the photo, the mask over it, and the marks of the tools -------------------------------------------

const CLOSEST = 48; // device pixels for one pixel of the photo
const SHARP_FROM = 4; // from this zoom on the photo's pixels are drawn as squares

// Three canvases with as many pixels as the screen has there. A mask pixel is never blended with its neighbours: each
// screen pixel shows the value of the mask pixel under its centre.
class View {
  constructor(stage) {
    this.stage = stage;
    [this.photo, this.mask, this.marks] = ["photo", "mask", "marks"].map((name) => stage.querySelector(`canvas.${name}`));
    this.colors = new Uint32Array(256);
    this.scale = 1;
    this.shift = [0, 0];
    this.left = this.top = 0;
    this.isFit = true;
    this.model = null;
    this.dirty = null;
    this.isStale = false;
    this.isHatched = false; // a model's proposal, which nobody may take for a mask
    this.frame = 0;
    this.drawMarks = () => {};
    this.watcher = new ResizeObserver(([{ contentRect }]) => this.resize(contentRect));
    this.watcher.observe(stage);
    this.watchRatio();
  }

  // The browser's zoom, or a window that is moved to another screen.
  watchRatio() {
    this.ratio = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
    this.ratio.onchange = () => {
      this.ratio.onchange = null;
      this.resize(this.stage.getBoundingClientRect());
      this.watchRatio();
    };
  }

  leave() {
    this.watcher.disconnect();
    this.ratio.onchange = null;
  }

  get canvases() {
    return [this.photo, this.mask, this.marks];
  }

  // The canvases have whole device pixels that are whole CSS pixels too, for browsers round a box to the one or the other
  // and stretch what is in it: a row too many would be dropped in its middle.
  resize(stage) {
    const sides = [stage.width, stage.height].map(wholePixels);
    const [width, height] = sides.map((length) => Math.round(length * devicePixelRatio));
    if (!width || !height) return;
    for (const { style } of this.canvases) [style.width, style.height] = sides.map((length) => `${length}px`);
    if (width === this.mask.width && height === this.mask.height) return;
    const middle = [this.left - this.mask.width / 2, this.top - this.mask.height / 2];
    for (const canvas of this.canvases) [canvas.width, canvas.height] = [width, height];
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    if (this.isFit) this.fit();
    else this.place(this.scale, middle[0] + width / 2, middle[1] + height / 2);
  }

  // At a fractional zoom the stage may begin within a device pixel, and the browser would blend neighbours.
  align() {
    const box = this.stage.getBoundingClientRect();
    const shift = [box.x, box.y].map((at) => Math.round(at * devicePixelRatio) / devicePixelRatio - at);
    if (shift.every((by, axis) => Math.abs(by - this.shift[axis]) < 0.01)) return;
    this.shift = shift;
    for (const { style } of this.canvases) [style.left, style.top] = shift.map((by) => `${by}px`);
  }

  show(model) {
    this.model = model;
    this.fit();
  }

  setColors(colors) {
    // Little-endian: alpha, blue, green, red. The background is the photo itself.
    this.colors.fill(0xff888888);
    for (const [id, color] of colors) {
      const [red, green, blue] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
      this.colors[id] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    }
    this.colors[0] = 0;
    this.redraw();
  }

  fit() {
    if (!this.model || !this.image) return;
    const { width, height } = this.model;
    const scale = Math.min(this.mask.width / width, this.mask.height / height, CLOSEST);
    this.place(scale, (this.mask.width - width * scale) / 2, (this.mask.height - height * scale) / 2);
    this.isFit = true;
  }

  // Whole device pixels, so that at 100 % a pixel of the mask is a pixel of the screen.
  place(scale, left, top) {
    const { width, height } = this.model, seen = 48;
    this.scale = scale;
    this.left = Math.round(within(left, seen - width * scale, this.mask.width - seen));
    this.top = Math.round(within(top, seen - height * scale, this.mask.height - seen));
    this.isFit = false;
    const columns = (count, start, length) => Int32Array.from({ length: count }, (_, at) => {
      const place = Math.floor((at + 0.5 - start) / scale);
      return place >= 0 && place < length ? place : -1;
    });
    this.columns = columns(this.mask.width, this.left, width);
    this.rows = columns(this.mask.height, this.top, height);
    this.stage.dataset.view = `${this.scale} ${this.left} ${this.top}`;
    this.onPlace?.();
    this.redraw();
  }

  pan(x, y) {
    this.place(this.scale, this.left + x, this.top + y);
  }

  // Zoom by a factor; what is under a point of the screen stays there.
  zoom(factor, [x, y] = [this.mask.width / 2, this.mask.height / 2]) {
    if (!this.model) return;
    const { width, height } = this.model;
    const least = Math.min(1, this.mask.width / width, this.mask.height / height) / 2;
    let scale = within(this.scale * factor, least, CLOSEST);
    if (Math.abs(scale - 1) < 1e-9) scale = 1; // 1:1 is exact
    const ratio = scale / this.scale;
    this.place(scale, x - (x - this.left) * ratio, y - (y - this.top) * ratio);
  }

  // A pointer's place in device pixels of the canvases.
  screenPoint(event) {
    const box = this.mask.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * this.mask.width) / box.width,
      ((event.clientY - box.top) * this.mask.height) / box.height,
    ];
  }

  // The same in quarters of a mask pixel.
  maskPoint([x, y]) {
    const quarters = (at, start) => Math.round((PER_PIXEL * (at - start)) / this.scale);
    return [quarters(x, this.left), quarters(y, this.top)];
  }

  onScreen([x, y]) {
    return [this.left + (x * this.scale) / PER_PIXEL, this.top + (y * this.scale) / PER_PIXEL];
  }

  // Scroll until a position is seen: the keyboard's cursor may leave the window.
  reveal(position) {
    const [x, y] = this.onScreen(position), edge = 24;
    const by = (at, size) => within(at, Math.min(edge, size / 2), Math.max(size - edge, size / 2)) - at;
    const [right, down] = [by(x, this.mask.width), by(y, this.mask.height)];
    if (right || down) this.pan(right, down);
  }

  // --- drawn once a frame

  touch(rect) {
    this.dirty = union(this.dirty, rect);
    this.wake();
  }

  redraw() {
    this.isStale = true;
    this.wake();
  }

  wake() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (!this.model || !this.image) return;
    this.align();
    if (this.isStale) {
      this.drawPhoto();
      this.drawMask([0, 0, this.mask.width, this.mask.height]);
    } else if (this.dirty) {
      const { scale, left, top } = this;
      this.drawMask([
        Math.max(0, Math.floor(left + this.dirty[0] * scale) - 1), Math.max(0, Math.floor(top + this.dirty[1] * scale) - 1),
        Math.min(this.mask.width, Math.ceil(left + this.dirty[2] * scale) + 1),
        Math.min(this.mask.height, Math.ceil(top + this.dirty[3] * scale) + 1),
      ]);
    }
    this.isStale = false;
    this.dirty = null;
    const context = this.marks.getContext("2d");
    context.clearRect(0, 0, this.marks.width, this.marks.height);
    this.drawMarks(context);
  }

  drawPhoto() {
    const context = this.photo.getContext("2d"), { model, scale } = this;
    context.clearRect(0, 0, this.photo.width, this.photo.height);
    if (!model.photo) return;
    context.imageSmoothingEnabled = scale < SHARP_FROM;
    context.drawImage(model.photo, this.left, this.top, model.width * scale, model.height * scale);
  }

  drawMask([left, top, right, bottom]) {
    if (left >= right || top >= bottom) return;
    const { pixels, columns, rows, colors, isHatched } = this, { mask, width } = this.model, across = this.mask.width;
    for (let y = top; y < bottom; y++) {
      const row = rows[y] < 0 ? -1 : rows[y] * width;
      if (row < 0) {
        pixels.fill(0, y * across + left, y * across + right);
        continue;
      }
      for (let x = left, at = y * across + left; x < right; x++, at++) {
        pixels[at] = columns[x] < 0 || (isHatched && (x + y) % 8 > 3) ? 0 : colors[mask[row + columns[x]]];
      }
    }
    this.mask.getContext("2d").putImageData(this.image, 0, 0, left, top, right - left, bottom - top);
  }
}

// The largest length up to one in CSS pixels that is whole in device pixels too: every 4th at 125 %, every 10th at 110 %.
function wholePixels(length) {
  const isWhole = (css) => Math.abs(css * devicePixelRatio - Math.round(css * devicePixelRatio)) < 1e-3;
  const found = Array.from({ length: 20 }, (_, less) => Math.floor(length) - less).find(isWhole);
  return found > 0 ? found : Math.ceil(length * devicePixelRatio) / devicePixelRatio;
}

// --- Marks -------------------------------------------------------------------------------------------------------------

// A line that is seen on light and dark: dark below, light above.
function outline(context, path, scale = devicePixelRatio) {
  context.setLineDash([]);
  for (const [width, color] of [[3 * scale, "#000a"], [1.25 * scale, "#fff"]]) {
    context.lineWidth = width;
    context.strokeStyle = color;
    context.stroke(path);
  }
}

function drawBrush(context, view, position, size) {
  const [x, y] = view.onScreen(position), path = new Path2D();
  path.arc(x, y, Math.max(2, (size * view.scale) / 2), 0, 2 * Math.PI);
  outline(context, path);
}

function drawCross(context, view, position) {
  const [x, y] = view.onScreen(position), arm = 9 * devicePixelRatio, path = new Path2D();
  path.moveTo(x - arm, y);
  path.lineTo(x + arm, y);
  path.moveTo(x, y - arm);
  path.lineTo(x, y + arm);
  outline(context, path);
}

function drawPolygon(context, view, points, next) {
  const path = new Path2D(), corners = new Path2D(), radius = 3 * devicePixelRatio;
  [...points, ...(next ? [next] : [])].forEach((point, at) => {
    const [x, y] = view.onScreen(point);
    path[at ? "lineTo" : "moveTo"](x, y);
    if (at < points.length) corners.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  });
  outline(context, path);
  outline(context, corners);
}

// A region: its area lightly, its edge where a neighbour on the screen lies in another region.
function drawRegion(context, view, map, level, id) {
  const box = map.box(level, id), { columns, rows } = view, { width, height } = view.marks;
  const corner = view.onScreen([PER_PIXEL * box[0], PER_PIXEL * box[1]]);
  const opposite = view.onScreen([PER_PIXEL * box[2], PER_PIXEL * box[3]]);
  const [left, top] = corner.map((at) => Math.max(0, Math.floor(at) - 1));
  const right = Math.min(width, Math.ceil(opposite[0]) + 1), bottom = Math.min(height, Math.ceil(opposite[1]) + 1);
  if (left >= right || top >= bottom) return;
  const image = context.createImageData(right - left, bottom - top), pixels = new Uint32Array(image.data.buffer);
  const isIn = (x, y) => columns[x] >= 0 && rows[y] >= 0 && map.at(level, columns[x], rows[y]) === id;
  const step = Math.max(1, Math.round(1.5 * devicePixelRatio));
  for (let y = top, at = 0; y < bottom; y++) {
    for (let x = left; x < right; x++, at++) {
      if (!isIn(x, y)) continue;
      const isInner = isIn(x - step, y) && isIn(x + step, y) && isIn(x, y - step) && isIn(x, y + step);
      pixels[at] = isInner ? 0x40ffffff : 0xffffffff;
    }
  }
  context.putImageData(image, left, top);
}
