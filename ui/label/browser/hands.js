// --- Tools, and the hands that use them: mouse, finger, pen, keyboard ------------------------------------------------

const PEN_WINS_MS = 1000; // a palm may rest on the screen until so long after the pen was last near
const PINCH_WITHIN_MS = 250; // a stroke that was begun so shortly before a second finger came is taken back
const LARGEST_BRUSH = 600;
const FIRST_CORNER_PX = 8;

// What each tool does at a position. A stroke is { value, at, rect }: it becomes one step of undo.
const TOOLS = {
  brush: { begin: (hands, stroke) => hands.paint(stroke, stroke.at), move: (hands, stroke, to) => hands.paint(stroke, to) },
  fill: {
    begin: ({ desk }, stroke) => {
      const [x, y] = stroke.at.map(pixelUnder);
      return isOn(desk.model, x, y) ? paintConnected(desk.model, stroke.value, x, y) : null;
    },
  },
  region: {
    begin: (hands, stroke) => hands.takeRegion(stroke, stroke.at),
    move: (hands, stroke, to) => hands.takeRegion(stroke, to),
  },
};
TOOLS.eraser = TOOLS.void = TOOLS.brush;

const isOn = ({ width, height }, x, y) => x >= 0 && y >= 0 && x < width && y < height;

class Hands {
  constructor(stage, view, desk, settings) {
    Object.assign(this, { stage, view, desk, settings });
    this.pointers = new Map(); // those that pan or pinch
    this.stroke = null;
    this.corners = []; // of the polygon that is being drawn
    this.hover = null; // where the pointer is, in quarters
    this.cursor = null; // the keyboard's, in quarters
    this.lastPen = -Infinity;
    this.isSpaceHeld = false;
    this.isReadOnly = false;
    this.regions = null;
    view.drawMarks = (context) => this.drawMarks(context);
    const listen = (name, listener) => stage.addEventListener(name, (event) => listener.call(this, event));
    listen("pointerdown", this.down);
    listen("pointermove", this.moved);
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) listen(name, this.up);
    listen("pointerleave", this.left);
    // Keys are for what the pointer is at, unless something else has the focus.
    listen("pointerenter", () => document.activeElement === document.body && stage.focus({ preventScroll: true }));
    listen("dblclick", () => this.settings.tool === "polygon" && this.closePolygon());
    listen("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  get value() {
    const { tool, classId } = this.settings;
    return tool === "eraser" ? 0 : tool === "void" ? VOID : classId;
  }

  // --- pointers

  down(event) {
    if (!this.desk.model) return;
    this.stage.focus({ preventScroll: true });
    const { pointerType, pointerId, timeStamp } = event, point = this.view.screenPoint(event);
    if (pointerType === "pen") {
      this.lastPen = timeStamp;
      this.pointers.clear();
      if (this.stroke?.pointerType === "touch") this.cancelStroke();
    }
    if (pointerType === "touch" && this.isPalm(timeStamp)) return;
    event.preventDefault();
    this.cursor = null;
    try {
      this.stage.setPointerCapture(pointerId);
    } catch { /* it is gone already */ }
    const isSecondFinger = pointerType === "touch" && (this.stroke?.pointerType === "touch" || this.pointers.size > 0);
    if (isSecondFinger) return this.beginPinch(pointerId, point, timeStamp);
    if (event.button === 1 || (event.button === 0 && this.isSpaceHeld)) return void this.pointers.set(pointerId, point);
    if (this.stroke || (event.button !== 0 && event.button !== 5)) return;
    this.press(this.view.maskPoint(point), { pointerId, pointerType, began: timeStamp, screen: point }, event.button === 5);
  }

  isPalm(time) {
    return this.stroke?.pointerType === "pen" || time - this.lastPen < PEN_WINS_MS;
  }

  beginPinch(pointerId, point, time) {
    const { stroke } = this;
    if (stroke) {
      if (time - stroke.began < PINCH_WITHIN_MS) this.cancelStroke();
      else this.endStroke();
      this.pointers.set(stroke.pointerId, stroke.screen);
    }
    if (this.corners.length && stroke?.isCorner) this.corners.pop();
    this.pointers.set(pointerId, point);
  }

  moved(event) {
    const point = this.view.screenPoint(event), { pointerId, pointerType } = event;
    if (pointerType === "pen") this.lastPen = event.timeStamp;
    if (this.pointers.has(pointerId)) return this.panned(pointerId, point);
    if (pointerType === "touch" && this.stroke?.pointerId !== pointerId) return;
    this.hover = this.view.maskPoint(point);
    this.settings.onHover(this.hover);
    if (this.stroke?.pointerId === pointerId) {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) this.draw(this.view.maskPoint(this.view.screenPoint(each)));
      this.stroke.screen = point;
    }
    this.view.wake();
  }

  panned(pointerId, point) {
    const before = [...this.pointers.values()];
    const [oldX, oldY] = this.pointers.get(pointerId);
    this.pointers.set(pointerId, point);
    if (before.length === 1) return this.view.pan(point[0] - oldX, point[1] - oldY);
    const [one, other] = [...this.pointers.values()];
    const distance = ([a, b], [c, d]) => Math.max(1, Math.hypot(a - c, b - d));
    const middle = ([a, b], [c, d]) => [(a + c) / 2, (b + d) / 2];
    const [x, y] = middle(one, other), [beforeX, beforeY] = middle(before[0], before[1]);
    this.view.pan(x - beforeX, y - beforeY);
    this.view.zoom(distance(one, other) / distance(before[0], before[1]), [x, y]);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.stroke?.pointerId !== event.pointerId) return;
    if (event.type === "pointercancel") this.cancelStroke();
    else this.endStroke();
  }

  left() {
    this.hover = null;
    this.settings.onHover(null);
    this.view.wake();
    // On the way to a link or a button elsewhere on the page, which may take this canvas away.
    if (!this.stroke) this.desk.saveNow();
  }

  wheel(event) {
    event.preventDefault();
    const step = event.deltaMode === 1 ? 20 * event.deltaY : event.deltaY;
    this.view.zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0015)), this.view.screenPoint(event));
  }

  // --- strokes

  // Press a tool at a position; `isEraser`: with the pen's other end.
  press(at, pointer = {}, isEraser = false) {
    if (this.isReadOnly || !this.desk.model) return;
    const { tool } = this.settings;
    if (tool === "polygon" && !isEraser && this.isFirstCorner(at)) return this.closePolygon();
    this.stroke = { value: isEraser ? 0 : this.value, at, rect: null, tool: isEraser ? "eraser" : tool, ...pointer };
    if (this.stroke.tool === "polygon") {
      this.stroke.isCorner = this.addCorner(at);
      return this.view.wake();
    }
    this.painted(TOOLS[this.stroke.tool].begin(this, this.stroke));
  }

  draw(to) {
    const { stroke } = this, move = TOOLS[stroke.tool]?.move;
    if (!move || (to[0] === stroke.at[0] && to[1] === stroke.at[1])) return;
    const rect = move(this, stroke, to);
    stroke.at = to;
    this.painted(rect);
  }

  paint(stroke, to) {
    return paintSegment(this.desk.model, stroke.value, this.settings.size, stroke.at, to);
  }

  painted(rect) {
    if (!rect) return;
    this.stroke.rect = union(this.stroke.rect, rect);
    this.view.touch(rect);
    this.desk.drawn();
  }

  endStroke() {
    const { stroke } = this;
    this.stroke = null;
    if (stroke && this.desk.model.history.commit(stroke.rect)) this.desk.onChange();
  }

  cancelStroke() {
    const { stroke } = this;
    this.stroke = null;
    if (!stroke?.rect) return;
    this.desk.model.history.revert(stroke.rect);
    this.view.touch(stroke.rect);
    this.desk.drawn();
  }

  takeRegion(stroke, at) {
    const { regions, desk } = this, [x, y] = at.map(pixelUnder), { level } = this.settings;
    if (!regions || !isOn(desk.model, x, y)) return null;
    const id = regions.at(level, x, y);
    if (id === stroke.region) return null;
    stroke.region = id;
    return regions.paint(stroke.value, level, id);
  }

  undo(isRedo) {
    if (this.stroke || !this.desk.model || this.isReadOnly) return;
    const rect = this.desk.model.history[isRedo ? "redo" : "undo"]();
    if (!rect) return;
    this.view.touch(rect);
    this.desk.drawn();
  }

  // --- polygon

  // Whether a click means the first corner, which closes the polygon: a finger has no Enter.
  isFirstCorner(at) {
    const near = (FIRST_CORNER_PX * devicePixelRatio * PER_PIXEL) / this.view.scale, [first] = this.corners;
    return this.corners.length > 2 && Math.hypot(at[0] - first[0], at[1] - first[1]) <= near;
  }

  // Add a corner; a second one in the same place (the second click of a double click) is left out.
  addCorner(at) {
    const last = this.corners.at(-1);
    if (last && last[0] === at[0] && last[1] === at[1]) return false;
    this.corners.push(at);
    return true;
  }

  closePolygon() {
    const { corners } = this;
    this.corners = [];
    this.view.wake();
    if (corners.length < 3 || this.isReadOnly) return;
    this.stroke = { rect: null };
    this.painted(paintPolygon(this.desk.model, this.settings.classId, corners));
    this.endStroke();
  }

  dropPolygon() {
    this.corners = [];
    this.view.wake();
  }

  // --- keyboard

  // Move the keyboard's cursor by steps of 8 screen pixels, one mask pixel at least; with Shift it draws on the way.
  moveCursor(x, y, isDrawing) {
    const { model } = this.desk, { view } = this;
    const step = PER_PIXEL * Math.max(1, Math.round((8 * devicePixelRatio) / view.scale));
    const middle = view.maskPoint([view.mask.width / 2, view.mask.height / 2]);
    const from = this.cursor ?? [[0, model.width], [1, model.height]].map(([axis, size]) => this.onCentre(middle[axis], size));
    const to = [this.onCentre(from[0] + x * step, model.width), this.onCentre(from[1] + y * step, model.height)];
    this.cursor = to;
    this.hover = null;
    if (isDrawing && TOOLS[this.settings.tool]?.move) {
      this.press(from);
      if (this.stroke) this.draw(to);
      this.endStroke();
    }
    view.reveal(to);
    view.wake();
    this.settings.onHover(to, true);
  }

  onCentre(position, size) {
    return PER_PIXEL * within(pixelUnder(position), 0, size - 1) + 2;
  }

  // Enter: use the tool at the keyboard's cursor; a polygon closes where no new corner was chosen.
  enter() {
    if (this.settings.tool === "polygon" && !(this.cursor && this.addCorner(this.cursor))) return this.closePolygon();
    if (this.settings.tool !== "polygon" && this.cursor) {
      this.press(this.cursor);
      this.endStroke();
    }
    this.view.wake();
  }

  // --- marks

  drawMarks(context) {
    const { view, settings, corners, cursor } = this, at = cursor ?? this.hover;
    if (!this.desk.model) return;
    const [x, y] = at ? at.map(pixelUnder) : [];
    if (settings.tool === "region" && this.regions && at && isOn(this.desk.model, x, y)) {
      drawRegion(context, view, this.regions, settings.level, this.regions.at(settings.level, x, y));
    }
    if (corners.length) drawPolygon(context, view, corners, at);
    if (TOOLS[settings.tool] === TOOLS.brush && at) drawBrush(context, view, at, settings.size);
    if (cursor) drawCross(context, view, cursor);
  }
}
