export default function ({ parentElement, data }) {
  const find = (selector) => parentElement.querySelector(selector);
  const range = find("input"), right = find(".right"), line = find(".line");
  find(".left").src = data.left; find(".left").alt = data.left_alt;
  right.src = data.right; right.alt = data.right_alt;
  find(".first").textContent = data.left_name; find(".second").textContent = data.right_name;
  range.setAttribute("aria-label", data.label);
  find(".pictures").style.width = data.width;
  const move = () => {
    right.style.clipPath = `inset(0 0 0 ${range.value}%)`;
    line.style.left = `${range.value}%`;
    range.setAttribute("aria-valuetext", `${range.value} % ${data.left_name}`);
  };
  range.oninput = move;
  move();
}
