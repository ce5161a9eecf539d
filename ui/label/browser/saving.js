// --- The photo that is drawn on, and its way to the server -----------------------------------------------------------

const SAVE_AFTER_MS = 3000;
const ANSWER_WITHIN_MS = 6000; // and half as long again each time, up to LONGEST_WAIT_MS
const LONGEST_WAIT_MS = 10000;
const PAGE_RUNS_WITHIN_MS = 3000;
const TRY_AGAIN_AFTER_MS = 8000;

// What outlives the component: a person who looks at another page and comes back finds strokes, undo and view.
const kept = (window[Symbol.for("atrous canvas")] ??= { contents: new Map(), regions: new Map(), desks: new Map() });

// A photo with its mask: `version` is the file that the server has, `changes` counts what was drawn, `saved` what of
// it the server has.
class Model {
  constructor({ id, name, width, height, version }, runs, photo) {
    Object.assign(this, { id, name, width, height, version, photo: null, changes: 0, saved: 0 });
    this.setMask(runs);
    // Without the colours' own profile and orientation: both are already applied.
    this.isLoaded = createImageBitmap(new Blob([photo])).then((bitmap) => (this.photo = bitmap));
  }

  setMask(runs) {
    this.mask = decodeRuns(runs, this.width * this.height);
    this.history = new History(this);
  }

  get isUnsaved() {
    return this.changes !== this.saved;
  }
}

// Sends masks, one at a time, until each is answered. Every letter has the whole mask, so a later one replaces an
// earlier one and a lost one costs nothing.
class Desk {
  constructor() {
    this.model = null;
    this.waiting = []; // letters about photos that were left with unsaved strokes
    this.sent = null; // the letter that is not answered yet
    this.last = null; // the last letter that was refused
    this.problem = "";
    this.other = null; // a mask of this photo that somebody else saved, while there are strokes of ours
    this.name = Math.random().toString(36).slice(2);
    this.count = 0;
    this.timer = 0;
    this.send = () => {};
    this.onChange = () => {};
    addEventListener("beforeunload", (event) => {
      if (!this.isUnsaved) return;
      event.preventDefault();
      event.returnValue = true;
    });
    addEventListener("visibilitychange", () => document.hidden && this.saveNow());
  }

  get isUnsaved() {
    return Boolean(this.model?.isUnsaved || this.waiting.length || this.sent?.mask);
  }

  drawn() {
    this.model.changes++;
    if (!this.timer) this.schedule(SAVE_AFTER_MS);
    this.onChange();
  }

  schedule(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.saveNow();
    }, delay);
  }

  saveNow() {
    if (this.waiting.length) this.post(this.waiting[0]);
    else if (this.model?.isUnsaved && !this.other) this.post(this.letter("save"));
  }

  // Save and then do something else: "done", "next" or "previous".
  act(action) {
    if (this.other) return;
    this.wish = action;
    if (!this.sent) this.postWish();
  }

  postWish() {
    const action = this.wish;
    this.wish = null;
    this.post(this.letter(action));
  }

  letter(action) {
    const { name, width, height, version, changes, isUnsaved } = this.model;
    const runs = isUnsaved ? encodeRuns(this.model.mask) : null;
    return { action, name, width, height, base_version: version, changes, runs, mask: runs && toBase64(runs) };
  }

  post(letter) {
    if (this.sent) return;
    this.sent = letter;
    letter.number = `${this.name} ${++this.count}`;
    this.transmit();
  }

  transmit() {
    const letter = this.sent, { number, action, name, width, height, base_version, mask } = letter;
    letter.wait = Math.min(LONGEST_WAIT_MS, letter.wait ? 1.5 * letter.wait : ANSWER_WITHIN_MS);
    this.later(letter, letter.wait, () => {
      letter.isLate = true;
      // A server that was started again listens to the canvas once the page has run.
      kept.runPage?.();
      this.later(letter, PAGE_RUNS_WITHIN_MS, () => this.transmit());
      this.onChange();
    });
    this.send({ number, action, name, width, height, base_version, mask });
    this.onChange();
  }

  later(letter, time, next) {
    clearTimeout(this.answerTimer);
    this.answerTimer = setTimeout(() => this.sent === letter && next(), time);
  }

  // The server's answer to the last letter, which is told again with every run of the script.
  answered({ number, version, problem, is_kept }) {
    const letter = this.sent;
    if (!letter || letter.number !== number) return;
    clearTimeout(this.answerTimer);
    this.sent = null;
    if (problem) this.refused(letter, problem, is_kept);
    else this.accepted(letter, version);
    this.onChange();
  }

  accepted(letter, version) {
    this.problem = "";
    this.waiting = this.waiting.filter((each) => each !== letter);
    for (const each of this.waiting) if (each.name === letter.name) each.base_version = version;
    if (this.model.name === letter.name) {
      this.model.version = version;
      if (letter.mask) this.model.saved = Math.max(this.model.saved, letter.changes);
    }
    if (this.waiting.length) this.saveNow();
    else if (this.wish) this.postWish();
    else if (this.isUnsaved && !this.timer) this.schedule(SAVE_AFTER_MS);
  }

  // `isKept`: somebody else saved this photo, and the server put our mask into its history.
  refused(letter, problem, isKept) {
    this.wish = null;
    this.last = letter;
    this.problem = problem;
    if (isKept) this.waiting = this.waiting.filter((each) => each !== letter);
    // The file that the letter knew may have been our own, from before the server was started again: try with the new.
    const isOutdated = this.model.name === letter.name && this.model.version !== letter.base_version;
    if (isOutdated) this.saveNow();
    else if (this.isUnsaved && !isKept) this.schedule(TRY_AGAIN_AFTER_MS);
  }

  // What the server has of a photo: another photo, or another mask of this one.
  received(header, runs, photo) {
    const { model } = this;
    if (model?.id === header.id) return false;
    if (model?.name !== header.name || model.width !== header.width || model.height !== header.height) {
      this.leave();
      this.model = new Model(header, runs, photo);
      return true;
    }
    model.id = header.id;
    if (header.version === model.version) return false;
    const ours = this.sent ?? this.last;
    if (ours?.name === header.name && ours.runs && areEqual(ours.runs, runs)) {
      // Our own mask, whose answer was lost.
      this.sent ??= ours;
      this.answered({ number: ours.number, version: header.version, problem: "" });
    } else if (model.isUnsaved) {
      this.other = { version: header.version, runs };
      this.onChange();
    } else {
      this.take(header.version, runs);
      return true;
    }
    return false;
  }

  take(version, runs) {
    this.model.setMask(runs);
    this.model.version = version;
    this.model.saved = this.model.changes;
    this.other = null;
  }

  // The person's choice between the two masks: the other's is on the disk and stays in the history there.
  choose(isOwn) {
    if (isOwn) {
      this.model.version = this.other.version;
      this.other = null;
      this.saveNow();
    } else {
      this.take(this.other.version, this.other.runs);
    }
    this.problem = "";
    this.onChange();
  }

  // The photo is exchanged from outside: what is unsaved goes on waiting as a letter.
  leave() {
    const { model, sent } = this;
    this.other = null;
    this.wish = null;
    if (!model) return;
    if (sent?.mask && !this.waiting.includes(sent)) this.waiting.push(Object.assign(sent, { action: "save" }));
    if (model.isUnsaved && sent?.changes !== model.changes) this.waiting.push(this.letter("save"));
    clearTimeout(this.timer);
    this.timer = 0;
    this.saveNow();
  }
}
