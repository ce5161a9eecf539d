export default function ({ parentElement, data, setTriggerValue }) {
  const find = (selector) => parentElement.querySelector(selector);
  find("img").src = data.picture;
  find("img").alt = data.alt;
  find(".name").textContent = data.name;
  find(".card").title = data.name;
  // Cards grow in proportion to their width, so all of a row have one height; two fit beside each other on a phone.
  const item = parentElement.host.closest("[data-testid=stElementContainer]");
  if (item) item.style.flex = `${data.width} 1 min(${data.width}px, ${data.width / 3.9}%)`;
  find(".card").onclick = () => {
    // The large view stands at the top of the page, which may have been scrolled far down.
    for (let part = parentElement.host; part; part = part.parentElement) part.scrollTop = 0;
    setTriggerValue("opened", true);
  };
}
