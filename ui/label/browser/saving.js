// --- The photo that is drawn on, and its way to the server -----------------------------------------------------------

const SAVE_AFTER_MS = 3000;
const ANSWER_WITHIN_MS = 6000; // and half as long again each time, up to LONGEST_WAIT_MS
const LONGEST_WAIT_MS = 10000;
const PAGE_RUNS_WITHIN_MS = 3000;
const TRY_AGAIN_AFTER_MS = 8000;

// What outlives the component: a person who looks at another page and comes back finds strokes, undo and view.
const kept = (window[Symbol.for("atrous canvas")] ??= { contents: new Map(), regions: new Map(), desks: new Map() });

// The desk of a data set. Those of others, which may hold 96 MB each, are kept for as long as they have something unsaved.
function deskOf(key) {
  for (const [other, desk] of kept.desks) if (other !== key && !desk.isUnsaved) kept.desks.delete(other);
  if (!kept.desks.has(key)) kept.desks.set(key, new Desk());
  return kept.desks.get(key);
}

// Here and not in each desk, or the window would hold every desk for ever.
addEventListener("beforeunload", (event) => {
  if (![...kept.desks.values()].some((desk) => desk.isUnsaved)) return;
  event.preventDefault();
  event.returnValue = true;
});
addEventListener("visibilitychange", () => document.hidden && kept.desks.forEach((desk) => desk.saveNow()));

// A photo with its mask: `version` is the file that was drawn upon, `generation` and `classes` are those whose ids the mask
// has; `seen` is the file that the person chose to replace by it; `changes` counts what was drawn, `saved` what of it the
// server has, `kept` what of it a refused letter brought into the history.
class Model {
  constructor({ id, name, file, width, height, version, generation }, runs, photo) {
    Object.assign(this, { id, name, file, width, height, version, generation, classes: null, seen: "", photo: null });
    Object.assign(this, { changes: 0, saved: 0, kept: 0 });
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

  // Whether nothing is lost if the mask on the disk takes the place of this one.
  get isSafe() {
    return !this.isUnsaved || this.kept === this.changes;
  }
}

const digest = (version) => version.split("@")[0];

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
    this.isLost = false; // another tab has the photo
    this.name = Math.random().toString(36).slice(2);
    this.count = 0;
    this.timer = 0;
    this.due = Infinity;
    this.send = () => {};
    this.onChange = () => {};
  }

  get isUnsaved() {
    return Boolean(this.model?.isUnsaved || this.waiting.length || this.sent?.mask);
  }

  // The other mask, where it is the person who decides: in a tab that has lost the photo it takes the place of ours.
  get choice() {
    return this.isLost ? null : this.other;
  }

  drawn() {
    this.model.changes++;
    this.schedule(SAVE_AFTER_MS);
    this.onChange();
  }

  // Save after a time, or before it where that is planned already.
  schedule(delay) {
    const due = performance.now() + delay;
    if (this.timer && this.due <= due) return;
    clearTimeout(this.timer);
    this.due = due;
    this.timer = setTimeout(() => {
      this.timer = 0;
      this.saveNow();
    }, delay);
  }

  // The open photo first: what waits may be refused for good, as when its photo is gone. While there is a choice, once:
  // the letter is refused, which puts what was drawn into the history, whatever is chosen and also if nothing is.
  saveNow() {
    if (this.model?.isUnsaved && !(this.choice && this.model.isSafe)) this.post(this.letter("save"));
    else if (this.waiting.length) this.post(this.waiting[0]);
  }

  // Save and then do something else: "done", "next" or "previous".
  act(action) {
    if (this.choice) return;
    this.wish = action;
    if (!this.sent) this.postWish();
  }

  postWish() {
    const action = this.wish;
    this.wish = null;
    this.post(this.letter(action));
  }

  letter(action) {
    const { model } = this, { name, width, height, version, seen, changes, isUnsaved } = model;
    const runs = isUnsaved ? encodeRuns(model.mask) : null, mask = runs && toBase64(runs);
    const { other } = this;
    return { action, model, other, name, width, height, base_version: version, seen_version: seen, changes, runs, mask };
  }

  post(letter) {
    if (this.sent) return;
    this.sent = letter;
    letter.number = `${this.name} ${++this.count}`;
    this.transmit();
  }

  transmit() {
    const letter = this.sent, { number, action, name, width, height, base_version, seen_version, mask } = letter;
    letter.wait = Math.min(LONGEST_WAIT_MS, letter.wait ? 1.5 * letter.wait : ANSWER_WITHIN_MS);
    this.later(letter, letter.wait, () => {
      letter.isLate = true;
      // A server that was started again listens to the canvas once the page has run.
      kept.runPage?.();
      this.later(letter, PAGE_RUNS_WITHIN_MS, () => this.transmit());
      this.onChange();
    });
    this.send({ number, action, name, width, height, base_version, seen_version, mask });
    this.onChange();
  }

  later(letter, time, next) {
    clearTimeout(this.answerTimer);
    this.answerTimer = setTimeout(() => this.sent === letter && next(), time);
  }

  // The server's answer to the last letter, which is told again with every run of the script.
  answered({ number, version, problem, is_kept, is_taken }) {
    const letter = this.sent;
    if (!letter || letter.number !== number) return;
    clearTimeout(this.answerTimer);
    this.sent = null;
    if (problem) this.refused(letter, problem, is_kept, is_taken);
    else this.accepted(letter, version);
    this.onChange();
  }

  accepted(letter, version) {
    this.problem = "";
    this.waiting = this.waiting.filter((each) => each !== letter);
    for (const each of this.waiting) if (each.model === letter.model) each.base_version = version;
    Object.assign(letter.model, { version, seen: "" });
    if (letter.other === this.other) this.other = null; // ours has taken its place
    if (letter.mask) letter.model.saved = Math.max(letter.model.saved, letter.changes);
    this.goOn(0);
  }

  // `isKept`: the server put our mask into the history of its photo, and will never save it in its place. `isTaken`: because
  // another tab has the photo now; then the mask on the disk takes the place of ours here too.
  refused(letter, problem, isKept, isTaken) {
    const { model } = this, isOfModel = letter.model === model;
    this.last = letter;
    this.problem = problem;
    this.waiting = this.waiting.filter((each) => each !== letter);
    if (isKept && letter.mask) model.kept = letter.changes;
    if (isOfModel && isKept && !model.isSafe) {
      this.wish = null;
      return this.post(this.letter("save")); // refused too, it puts what was drawn meanwhile into the history
    } else if (isOfModel && isTaken) {
      this.giveUp();
    } else if (isOfModel) {
      this.wish = null;
      // The file that the letter knew may have been our own, from before the server was started again: try with the new.
      const isOutdated = letter.base_version !== model.version || letter.seen_version !== model.seen;
      if (isOutdated && model.isUnsaved) return this.saveNow();
      if (isKept && !this.waiting.length) return; // the other mask is on its way
    } else if (letter.mask && !isKept) {
      this.waiting.push(letter);
    }
    this.goOn(TRY_AGAIN_AFTER_MS);
  }

  // Whatever mask comes next takes the place of what was drawn.
  giveUp() {
    this.wish = this.other = this.last = null;
    // No file has this version: that of a photo without a mask is empty.
    Object.assign(this.model, { id: "", version: "given up", saved: this.model.changes });
  }

  // What is next once a letter is answered: what the person wants, what waits, what was drawn meanwhile.
  goOn(delay) {
    if (this.wish) this.postWish();
    else if (this.waiting.length && !delay) this.post(this.waiting[0]);
    else if (this.isUnsaved) this.schedule(delay || SAVE_AFTER_MS);
  }

  // What the server has of a photo: another photo, or another mask of this one. Return whether it is to be shown.
  received(header, runs, photo) {
    if (this.model?.id === header.id) return false;
    const isNew = ["name", "file", "width", "height"].some((part) => this.model?.[part] !== header[part]);
    if (isNew) {
      this.leave();
      this.model = new Model(header, runs, photo);
      this.takeBack();
    }
    const { model } = this;
    model.id = header.id;
    if (header.version === model.version) return isNew;
    const ours = [this.sent, this.last].find((each) => each?.model === model && each.runs && areEqual(each.runs, runs));
    if (ours && (header.generation === model.generation || ours.changes === model.changes)) {
      // Our own mask, whose answer was lost.
      if (this.sent === ours) this.sent = null;
      this.accepted(ours, header.version);
      model.generation = header.generation;
    } else if (model.isUnsaved && digest(header.version) === digest(model.version)) {
      // The file that was drawn upon, with other class ids: what is drawn on it is translated when it is saved.
    } else if (model.isUnsaved && header.is_proposal) {
      this.saveNow(); // a photo that somebody draws on needs no proposal
    } else if (model.isUnsaved) {
      this.other = { version: header.version, runs, generation: header.generation };
      this.saveNow();
    } else {
      this.take({ version: header.version, runs, generation: header.generation });
      return true;
    }
    this.onChange();
    return isNew;
  }

  // Strokes of this photo that wait to be saved, from when it was open before.
  takeBack() {
    const { model, sent } = this, isOurs = ({ name, width, height }) =>
      name === model.name && width === model.width && height === model.height;
    const letter = this.waiting.findLast(isOurs);
    if (!letter) return;
    const old = letter.model;
    model.setMask(letter.runs);
    Object.assign(model, { version: letter.base_version, seen: letter.seen_version, changes: 1 });
    Object.assign(model, { generation: old.generation, classes: old.classes });
    Object.assign(letter, { model, changes: 1 });
    // An earlier one that is under way says nothing of this mask but its version.
    if (sent && sent !== letter && sent.model === old) Object.assign(sent, { model, changes: 0 });
    if (sent !== letter) this.last = letter;
    this.waiting = this.waiting.filter((each) => !isOurs(each));
    this.schedule(SAVE_AFTER_MS);
  }

  take({ version, runs, generation }) {
    this.model.setMask(runs);
    Object.assign(this.model, { version, generation, seen: "", saved: this.model.changes });
    this.other = null;
  }

  // The person's choice between the two masks: the other's is on the disk and stays in the history there.
  choose(isOwn) {
    if (isOwn) {
      this.model.seen = this.other.version;
      this.other = null;
      this.saveNow();
    } else {
      this.take(this.other);
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
    const isOnItsWay = sent?.model === model && sent.changes === model.changes;
    if (model.isUnsaved && !isOnItsWay) this.waiting.push(this.letter("save"));
    clearTimeout(this.timer);
    this.timer = 0;
    this.saveNow();
  }
}
