// The photos of a data set in one row that scrolls: each a button with its state. The open one is kept in sight.
const SIGNS = { unlabelled: "", proposed: "?", started: "\u270e", done: "\u2713" };

export default function ({ parentElement, data, setTriggerValue }) {
  const row = parentElement.querySelector(".row");
  const card = ({ name, picture, alt, state, note, reason }) => {
    const button = document.createElement("button"), image = document.createElement("img");
    const sign = document.createElement("span"), label = document.createElement("span");
    button.className = `card ${state}`;
    button.title = reason ? `${name}: ${reason}` : name;
    if (name === data.open) button.setAttribute("aria-current", "true");
    if (picture) image.src = picture;
    image.alt = alt;
    sign.className = "sign";
    sign.textContent = SIGNS[state];
    sign.setAttribute("aria-hidden", "true");
    const noted = document.createElement("span");
    noted.className = "note";
    noted.textContent = note;
    noted.setAttribute("aria-hidden", "true");
    label.className = "name";
    label.textContent = name;
    button.append(image, sign, noted, label);
    button.onclick = () => setTriggerValue("opened", name);
    return button;
  };
  const more = (label, from) => {
    const button = document.createElement("button");
    button.className = "more";
    button.textContent = label;
    button.onclick = () => setTriggerValue("moved", from);
    return button;
  };
  const cards = data.cards.map(card);
  if (data.earlier !== null) cards.unshift(more(`\u2190 ${data.before} before`, data.earlier));
  if (data.later !== null) cards.push(more(`${data.after} after \u2192`, data.later));
  const hadFocus = row.contains(row.getRootNode().activeElement);
  const left = row.scrollLeft;
  row.replaceChildren(...cards);
  row.scrollLeft = left;
  const open = row.querySelector("[aria-current]");
  if (open && row.dataset.open !== data.open) {
    row.scrollLeft = open.offsetLeft - (row.clientWidth - open.clientWidth) / 2;
    if (hadFocus) open.focus({ preventScroll: true });
  }
  row.dataset.open = data.open;
}
