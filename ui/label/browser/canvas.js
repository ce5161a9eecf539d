// --- The canvas as a whole: what is shown around the photo, keys, and what comes from the server ----------------------

const SETTINGS = { tool: "brush", classId: 1, size: 12, opacity: 60, level: 1 };
const TOOL_KEYS = { b: "brush", e: "eraser", p: "polygon", g: "fill", r: "region", v: "void" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ZOOM_STEP = 1.25;
const CONTENT_CAME = "atrous canvas content";
const REGIONS_WITHIN_MS = 20000;

// The slider of the brush's size goes in equal ratios: small brushes need fine steps.
const sizeOf = (share) => Math.round(LARGEST_BRUSH ** (share / 100));
const shareOf = (size) => Math.round((100 * Math.log(size)) / Math.log(LARGEST_BRUSH));

// Every visit of the page makes a canvas anew: the window must not hold those that are gone.
const canvases = new Set();

class Canvas {
  constructor(root, key) {
    for (const each of canvases) if (!each.root.isConnected) each.leave();
    canvases.add(this);
    this.root = root;
    this.desk = deskOf(key);
    this.settings = kept.settings ??= { ...SETTINGS };
    this.settings.onHover = (at, isSpoken) => this.showPlace(at, isSpoken);
    this.stage = this.find(".stage");
    this.view = new View(this.stage);
    this.hands = new Hands(this.stage, this.view, this.desk, this.settings);
    this.classes = [];
    this.data = null;
    this.asked = -Infinity;
    this.desk.onChange = () => this.showState();
    this.view.onPlace = () => this.showPlace(this.hands.hover);
    this.contentCame = () => this.takeContent();
    addEventListener(CONTENT_CAME, this.contentCame);
    this.listen();
    this.showSettings();
    if (this.desk.model) this.showModel();
  }

  leave() {
    canvases.delete(this);
    removeEventListener(CONTENT_CAME, this.contentCame);
    this.view.leave();
  }

  // Another tab has the photo, or the mask is a proposal.
  get isReadOnly() {
    return Boolean(this.data?.is_read_only || this.data?.is_proposal);
  }

  find(selector) {
    return this.root.querySelector(selector);
  }

  all(selector) {
    return [...this.root.querySelectorAll(selector)];
  }

  // --- from the server

  // Called with every run of the script, mostly with the same data: nothing may be reset.
  update(data, trigger) {
    this.trigger = trigger;
    this.desk.send = (letter) => this.trigger("event", letter);
    this.data = data;
    if (this.view.isHatched !== data.is_proposal) {
      this.view.isHatched = data.is_proposal;
      this.view.redraw();
    }
    const isLostNow = data.is_read_only && !this.desk.isLost;
    this.desk.isLost = data.is_read_only;
    if (data.is_read_only) this.hands.endStroke(); // nothing is added to what is sent for the history
    this.takeContent();
    if (isLostNow) this.desk.saveNow();
    if (data.answer) this.desk.answered(data.answer);
    if (this.desk.model?.id === "") {
      this.hands.cancelStroke();
      this.desk.giveUp(); // another tab has the photo
      this.takeContent(); // its mask, which may be here already
    }
  }

  takeContent() {
    if (!this.root.isConnected || !this.data) return;
    const content = kept.contents.get(this.data.content);
    if (content && this.desk.received(content.header, content.runs, content.photo)) this.showModel();
    this.takeClasses();
    this.takeRegions();
    this.showState();
  }

  // A mask is shown and drawn with the classes whose ids it has, also where one was removed in another tab.
  takeClasses() {
    const { model } = this.desk, { classes, generation } = this.data;
    if (model?.generation === generation) model.classes = classes;
    this.showClasses(model?.classes ?? classes);
  }

  showModel() {
    const { model } = this.desk;
    if (this.view.model !== model) {
      this.hands.cancelStroke();
      this.hands.dropPolygon();
      this.hands.cursor = null;
      this.hands.regions = null;
      this.view.show(model);
    }
    model.isLoaded.then(() => this.view.redraw());
    this.stage.style.setProperty("--ratio", model.height / model.width);
    this.stage.setAttribute("aria-label", `${model.name}, ${model.width} x ${model.height} pixels, with its mask`);
    this.view.redraw();
    this.takeRegions();
  }

  // Regions are found on the server, and only once somebody uses their tool on a photo.
  takeRegions() {
    const { model } = this.desk;
    if (!model || this.settings.tool !== "region") return this.showWaiting(false);
    if (!this.hands.regions) {
      const found = kept.regions.get(model.file);
      if (found) this.hands.regions = new RegionMap(found, model);
      else if (this.trigger && !this.data.regions_problem && performance.now() - this.asked > REGIONS_WITHIN_MS) {
        this.asked = performance.now();
        this.trigger("wish", { name: model.name, number: `${Math.random()}` });
        setTimeout(() => this.takeRegions(), REGIONS_WITHIN_MS + 1);
      }
    }
    this.showWaiting(!this.hands.regions);
    this.view.wake();
  }

  showWaiting(isWaiting) {
    this.find(".waiting").hidden = !isWaiting;
    this.write(".waiting", this.data?.regions_problem || "Finding the regions of this photo ...");
  }

  // --- what people do

  listen() {
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest?.("button");
      if (!button) return;
      if (button.dataset.tool) this.choose({ tool: button.dataset.tool });
      else if (button.dataset.id) this.chooseClass(Number(button.dataset.id));
      else this.act(button.dataset.do);
    });
    this.find("input[name=size]").oninput = ({ target }) => this.choose({ size: sizeOf(target.value) });
    this.find("input[name=opacity]").oninput = ({ target }) => this.choose({ opacity: Number(target.value) });
    this.find("select").onchange = ({ target }) => this.choose({ level: Number(target.value) });
    const section = this.find(".root");
    section.addEventListener("keydown", (event) => this.key(event));
    section.addEventListener("keyup", (event) => this.released(event));
    section.addEventListener("focusout", () => {
      this.released({ key: "h" });
      this.released({ key: " " });
    });
  }

  act(action) {
    const { view, hands, desk } = this;
    ({
      undo: () => hands.undo(false),
      redo: () => hands.undo(true),
      larger: () => view.zoom(ZOOM_STEP),
      smaller: () => view.zoom(1 / ZOOM_STEP),
      fit: () => view.fit(),
      full: () => view.zoom(1 / view.scale),
      hide: () => this.hide(this.find("[data-do=hide]").getAttribute("aria-pressed") !== "true"),
      own: () => desk.choose(true),
      other: () => {
        desk.choose(false);
        this.takeClasses();
        view.redraw();
      },
    })[action]?.();
    const isAllowed = action !== "done" || !this.isReadOnly;
    if (["done", "next", "previous"].includes(action) && desk.model && isAllowed) {
      hands.endStroke();
      desk.act(action);
    }
    this.showState();
  }

  choose(change) {
    Object.assign(this.settings, change);
    if (change.tool) {
      this.hands.dropPolygon();
      this.takeRegions();
    }
    this.showSettings();
  }

  chooseClass(id) {
    if (!this.classes.some((each) => each.id === id)) return;
    // The eraser and the void brush paint one class only.
    const tool = ["eraser", "void"].includes(this.settings.tool) ? "brush" : this.settings.tool;
    this.choose({ classId: id, ...(tool === this.settings.tool ? {} : { tool }) });
  }

  // Hide the mask, or show it again.
  hide(isHidden) {
    this.find("canvas.mask").style.visibility = isHidden ? "hidden" : "visible";
    this.find("[data-do=hide]").setAttribute("aria-pressed", String(isHidden));
  }

  key(event) {
    const { key } = event, isTyping = event.target.matches?.("input, select"), isOnStage = event.target === this.stage;
    // Streamlit's own keys (R starts the script again, C empties its cache) listen to the whole page; so do A, which
    // accepts a proposal, and Y, which answers the question about an empty one.
    const hasModifier = event.shiftKey || event.ctrlKey || event.metaKey || event.altKey;
    if (!["a", "y"].includes(key.toLowerCase()) || isTyping || hasModifier) event.stopPropagation();
    if (isTyping && !/^[a-z[\]]$/i.test(key)) return;
    if (this.control(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!this.stageKey(event, isOnStage) && !this.plainKey(event)) return;
    event.preventDefault();
  }

  control(event) {
    const key = event.key.toLowerCase();
    if (!(event.ctrlKey || event.metaKey) || !["z", "y"].includes(key)) return false;
    event.preventDefault();
    this.act(key === "y" || event.shiftKey ? "redo" : "undo");
    return true;
  }

  // Keys that have another meaning on a button or a slider.
  stageKey({ key, shiftKey, repeat }, isOnStage) {
    const { hands } = this, arrow = ARROWS[key];
    if (!isOnStage || !this.desk.model) return false;
    if (arrow) hands.moveCursor(...arrow, shiftKey);
    else if (key === "Enter" && !repeat) hands.enter();
    else if (key === " ") this.pan(true);
    else return false;
    return true;
  }

  plainKey({ key, code, shiftKey }) {
    const { hands, settings } = this, letter = key.toLowerCase();
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(code)?.[1];
    if (digit !== undefined) this.chooseClass(Number(digit));
    else if (TOOL_KEYS[letter]) this.choose({ tool: TOOL_KEYS[letter] });
    else if (letter === "h") this.hide(true);
    else if (letter === "f") this.act("fit");
    else if (letter === "n") this.act(shiftKey ? "previous" : "next");
    else if (letter === "d") this.act("done");
    else if (key === "+" || key === "=") this.act("larger");
    else if (key === "-" || key === "_") this.act("smaller");
    else if (key === "[" || key === "]") {
      const larger = Math.max(settings.size + 1, Math.round(settings.size * ZOOM_STEP));
      const smaller = Math.min(settings.size - 1, Math.round(settings.size / ZOOM_STEP));
      this.choose({ size: within(key === "]" ? larger : smaller, 1, LARGEST_BRUSH) });
    } else if (key === "Backspace") {
      hands.corners.pop();
      this.view.wake();
    } else if (key === "Escape") {
      hands.cancelStroke();
      hands.dropPolygon();
    } else return false;
    return true;
  }

  released({ key }) {
    if (key.toLowerCase?.() === "h") this.hide(false);
    if (key === " ") this.pan(false);
  }

  pan(isHeld) {
    this.hands.isSpaceHeld = isHeld;
    this.stage.classList.toggle("moves", isHeld);
  }

  // --- what is shown

  showSettings() {
    const { tool, classId, size, opacity, level } = this.settings;
    for (const button of this.all("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
    for (const button of this.all("[data-id]")) {
      const isChosen = Number(button.dataset.id) === classId;
      button.setAttribute("aria-checked", String(isChosen));
      button.tabIndex = isChosen ? 0 : -1;
    }
    this.find("input[name=size]").value = shareOf(size);
    this.find("output[name=size]").textContent = `${size} px`;
    this.find("input[name=opacity]").value = opacity;
    this.find("output[name=opacity]").textContent = `${opacity} %`;
    this.find("canvas.mask").style.opacity = opacity / 100;
    this.find("select").value = level;
    this.find(".of-region").hidden = tool !== "region";
    this.find(".of-size").hidden = ["polygon", "fill", "region"].includes(tool);
    this.view.wake();
  }

  showClasses(classes) {
    if (JSON.stringify(classes) === JSON.stringify(this.classes)) return;
    const { name } = this.classes.find(({ id }) => id === this.settings.classId) ?? {};
    this.settings.classId = classes.find((each) => each.name === name)?.id ?? this.settings.classId;
    this.classes = classes;
    this.view.setColors(classes.map(({ id, color }) => [id, color]));
    const list = this.find(".classes");
    list.replaceChildren(...classes.map(({ id, name, color }) => {
      const button = document.createElement("button"), swatch = document.createElement("span");
      button.dataset.id = id;
      button.title = name;
      button.setAttribute("role", "radio");
      swatch.className = "swatch";
      swatch.style.background = color;
      const number = document.createElement("kbd"), text = document.createElement("span");
      number.textContent = id < 10 ? id : "";
      text.textContent = name;
      button.append(number, swatch, text);
      return button;
    }));
    list.onkeydown = (event) => this.walk(event);
    if (!classes.some(({ id }) => id === this.settings.classId)) this.settings.classId = Math.min(1, classes.length - 1);
    this.showSettings();
  }

  // Arrow keys go through the classes, as in every group of radio buttons.
  walk(event) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = this.all("[data-id]"), at = buttons.findIndex((button) => button.tabIndex === 0);
    const next = buttons[(at + by + buttons.length) % buttons.length];
    this.chooseClass(Number(next.dataset.id));
    next.focus();
  }

  // Text is written only where it changes: a live region would be read out again.
  write(selector, text) {
    const part = this.find(selector);
    if (part.textContent !== text) part.textContent = text;
  }

  showState() {
    const { desk, data, isReadOnly } = this, { model, sent } = desk;
    const state = !model ? "" : data?.is_read_only ? "Read only" : isReadOnly ? "A proposal: accept it to draw on it" : sent?.isLate ? "The server does not answer. What you draw is kept here and sent again."
      : sent?.mask ? "Saving ..." : desk.isUnsaved ? "Not saved yet" : model.changes ? "Saved" : "";
    this.write(".state", state);
    const problem = desk.choice ? "Somebody else saved another mask of this photo. The one you do not keep stays in its history."
      : desk.problem || data?.problem || "";
    this.write(".notice span", problem);
    this.find(".notice").hidden = !problem;
    for (const button of this.all(".notice button")) button.hidden = !desk.choice;
    this.find("[data-do=other]").disabled = !model?.isSafe; // until ours is in the history
    // While two masks are to choose from nothing is drawn: the other one may have other classes.
    this.hands.isReadOnly = isReadOnly || Boolean(desk.other);
    const history = model?.history;
    this.find("[data-do=undo]").disabled = !history?.at || isReadOnly;
    this.find("[data-do=redo]").disabled = !history || history.at === history.steps.length || isReadOnly;
    this.find("[data-do=done]").disabled = isReadOnly;
    this.showPlace(this.hands.cursor ?? this.hands.hover); // a stroke, undo or another mask has changed what is there
  }

  showPlace(at, isSpoken = false) {
    const { model } = this.desk, [x, y] = at ? at.map(pixelUnder) : [];
    const zoom = `${Math.round(100 * this.view.scale)} %`;
    let text = "";
    if (model && at && isOn(model, x, y)) {
      const id = model.mask[y * model.width + x];
      text = `${x}, ${y}: ${this.classes.find((each) => each.id === id)?.name ?? id}`;
    }
    this.write(".place", text ? `${text} · ${zoom}` : zoom);
    if (isSpoken) this.write(".spoken", text);
  }
}

// One canvas for each place on the page, for as long as the place is there; also where a newer server brings another
// version of this script.
const CANVAS = Symbol.for("atrous canvas");

export default function ({ parentElement, data, setTriggerValue }) {
  parentElement[CANVAS] ??= new Canvas(parentElement, data.key);
  parentElement[CANVAS].update(data, setTriggerValue);
}
