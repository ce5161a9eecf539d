// Scale cards so that a row of usual ones is full; the last row, which does not grow, is then as high as the others.
// Two fit beside each other on a phone.
const fit = (row) => {
  const widths = [...row.children].map((each) => Number(each.dataset.width)).filter(Boolean).sort((a, b) => a - b);
  const usual = widths[widths.length >> 1];
  const gap = parseFloat(getComputedStyle(row).columnGap) || 0;
  const number = Math.max(2, Math.floor((row.clientWidth + gap) / (usual + gap)));
  row.style.setProperty("--scale", ((row.clientWidth - (number - 1) * gap) / number - 0.5) / usual);
  if (!row.resized) {
    row.resized = new ResizeObserver(() => fit(row));
    row.resized.observe(row);
  }
};

export default function ({ parentElement, data, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  find("img").src = data.picture;
  find("img").alt = data.alt;
  find(".name").textContent = data.name;
  find(".card").title = data.name;
  // Cards grow in proportion to their width, so all of a row have one height.
  const item = parentElement.host.closest("[data-testid=stElementContainer]");
  if (item) {
    item.dataset.width = data.width;
    item.style.flex = `${data.width} 1 calc(var(--scale, 1) * ${data.width}px)`;
    fit(item.parentElement);
  }
  find(".card").onclick = () => {
    // The large view stands at the top of the page, which may have been scrolled far down.
    for (let part = parentElement.host; part; part = part.parentElement) part.scrollTop = 0;
    setTriggerValue("opened", true);
  };
}
