// --- Undo and redo ----------------------------------------------------------------------------------------------------

const MOST_STEPS = 500;
const MOST_BYTES = 96 * 2 ** 20; // beyond it the oldest steps are forgotten: 50 steps may have 1.9 MB each

// What each step changed, as runs within its rectangle: how many pixels stay, how many change, from and to what.
class History {
  constructor(sheet) {
    this.sheet = sheet;
    this.base = sheet.mask.slice();
    this.steps = [];
    this.at = 0;
    this.bytes = 0;
  }

  // Keep what differs from the last step within a rectangle as a step of its own; return whether anything does.
  commit(rect) {
    const runs = rect ? this.difference(rect) : [];
    if (!runs.length) return false;
    for (const step of this.steps.splice(this.at)) this.bytes -= step.runs.byteLength;
    this.steps.push({ rect, runs });
    this.bytes += runs.byteLength;
    while (this.steps.length > MOST_STEPS || (this.bytes > MOST_BYTES && this.steps.length > 1)) {
      this.bytes -= this.steps.shift().runs.byteLength;
    }
    this.at = this.steps.length;
    this.copy(rect, this.sheet.mask, this.base);
    return true;
  }

  // Take back what was drawn since the last step.
  revert(rect) {
    if (rect) this.copy(rect, this.base, this.sheet.mask);
  }

  undo() {
    return this.at > 0 ? this.apply(this.steps[--this.at], 8) : null;
  }

  redo() {
    return this.at < this.steps.length ? this.apply(this.steps[this.at++], 0) : null;
  }

  copy([left, top, right, bottom], from, to) {
    const { width } = this.sheet;
    for (let y = top; y < bottom; y++) to.set(from.subarray(y * width + left, y * width + right), y * width + left);
  }

  difference([left, top, right, bottom]) {
    const { mask, width } = this.sheet, { base } = this;
    const [now4, before4] = [mask, base].map((each) => new Uint32Array(each.buffer, 0, each.length >> 2));
    let runs = new Uint32Array(256), count = 0, kept = 0, length = 0, change = -1;
    const push = () => {
      if (!length) return;
      if (count + 3 > runs.length) {
        const more = new Uint32Array(2 * runs.length);
        more.set(runs);
        runs = more;
      }
      runs[count++] = kept;
      runs[count++] = length;
      runs[count++] = change;
      kept = length = 0;
    };
    for (let y = top; y < bottom; y++) {
      for (let at = y * width + left, end = y * width + right; at < end;) {
        const start = at;
        // Four pixels at a time: most of the rectangle of a long stroke is as it was.
        while (at & 3 && at < end && mask[at] === base[at]) at++;
        if (!(at & 3)) {
          let place = at >> 2;
          const last = end >> 2;
          while (place < last && now4[place] === before4[place]) place++;
          at = Math.max(at, place << 2);
          while (at < end && mask[at] === base[at]) at++;
        }
        if (at > start) push();
        kept += at - start;
        if (at === end) break;
        const now = base[at] * 256 + mask[at];
        if (length && now !== change) push();
        change = now;
        length++;
        at++;
      }
    }
    push();
    return runs.slice(0, count);
  }

  // Write the values before (shift 8) or after (shift 0) a step; return its rectangle.
  apply({ rect, runs }, shift) {
    const [left, top, right] = rect, across = right - left, { mask, width } = this.sheet;
    for (let run = 0, at = 0; run < runs.length; run += 3) {
      at += runs[run];
      const value = (runs[run + 2] >> shift) & 255;
      for (let rest = runs[run + 1]; rest > 0;) {
        const row = Math.floor(at / across), column = at - row * across, part = Math.min(rest, across - column);
        const place = (top + row) * width + left + column;
        mask.fill(value, place, place + part);
        this.base.fill(value, place, place + part);
        at += part;
        rest -= part;
      }
    }
    return rect;
  }
}
