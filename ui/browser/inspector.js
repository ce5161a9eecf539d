const STEP = 1 / 64;
const POINTED = "atrous pointed";
let hasPointed = false;
try { hasPointed = localStorage.getItem(POINTED) !== null; } catch { /* the browser stores nothing */ }

export default function ({ parentElement, data, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  const photo = find(".photo"), image = find("img"), cross = find(".cross"), readout = find(".readout");
  const hint = find(".hint");
  hint.hidden = hasPointed;
  photo.style.width = data.width;
  image.src = data.picture;
  image.alt = data.alt;
  photo.setAttribute("aria-label", `${data.alt}. Arrow keys move a cursor that shows the class of a pixel.`);

  let answers = null;
  let place = [0.5, 0.5];
  const read = async () => {
    const blob = await (await fetch(data.answers)).blob();
    // Without colour management, which would change ids.
    const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    answers = context.getImageData(0, 0, bitmap.width, bitmap.height);
  };

  const sentence = (x, y) => {
    const column = Math.min(answers.width - 1, Math.floor(x * answers.width));
    const row = Math.min(answers.height - 1, Math.floor(y * answers.height));
    const [id, confidence, other] = answers.data.slice(4 * (row * answers.width + column));
    if (id === data.void) return data.undecided;
    const second = other === id ? "" : `, else ${data.names[other]}`;
    return `${data.names[id]}, ${Math.round(confidence / 2.55)} % sure${second}`;
  };

  const show = (x, y) => {
    if (!answers) return;
    place = [x, y];
    if (!hasPointed) {
      hint.hidden = hasPointed = true;
      try { localStorage.setItem(POINTED, "1"); } catch { /* it is said again on the next visit */ }
    }
    readout.textContent = sentence(x, y);
    for (const mark of [readout, cross]) {
      mark.hidden = false;
      mark.style.left = `${100 * x}%`;
      mark.style.top = `${100 * y}%`;
    }
    readout.style.transform = `translate(${x > 0.5 ? "calc(-100% - 10px)" : "10px"}, ${y > 0.5 ? "-130%" : "30%"})`;
  };
  const hide = () => { readout.hidden = cross.hidden = true; };
  const inside = (value) => Math.min(0.9999, Math.max(0, value));

  const placeOf = (event) => {
    const box = photo.getBoundingClientRect();
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  };
  const ask = (at) => { if (data.asks) setTriggerValue("pointed", at); };
  photo.onpointermove = photo.onpointerdown = (event) => show(...placeOf(event));
  photo.onclick = (event) => ask(placeOf(event));
  photo.onpointerleave = hide;
  photo.onblur = hide;
  photo.onkeydown = (event) => {
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (event.key === "Escape") hide();
    if (event.key === "Enter") ask(place);
    if (!by) return;
    event.preventDefault();
    show(inside(place[0] + by[0]), inside(place[1] + by[1]));
  };
  read();
}
