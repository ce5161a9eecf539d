"""What of a page cannot be read: the contrast and size of its text, measured where the browser has drawn it."""

from typing import Any

from playwright.sync_api import Page

LEAST_RATIO = 4.5
"""WCAG 2's AA for text of any size."""
LEAST_PX = 12

MEASURE = """
() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {  // of any notation, color-mix() too
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (front, back, alpha) => back.map((value, k) => alpha * front[k] + (1 - alpha) * value);
  const luminance = (color) => {
    const linear = color.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const chain = (element) => {
    const parent = element.parentElement ?? element.getRootNode().host;
    return parent ? [...chain(parent), element] : [element];
  };
  const isWritten = (element) => {
    const { width, height } = element.getBoundingClientRect();
    return width > 1 && height > 1 && element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
      && !chain(element).some((part) => part.matches("[disabled], [aria-disabled=true], [data-disabled=true]"));
  };
  const contrast = (element, style) => {  // of text to what its ancestors are filled with, through their opacities
    const box = element.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    let back = matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255], opacity = 1;
    for (const part of chain(element)) {
      const its = part.getBoundingClientRect(), { backgroundColor, opacity: own } = getComputedStyle(part);
      opacity *= Number(own);
      // A slider's number stands above the thumb that holds it.
      const isBehind = its.left <= x && x <= its.right && its.top <= y && y <= its.bottom;
      const fill = rgba(backgroundColor);
      if (isBehind) back = over(fill, back, fill[3] * opacity);
    }
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    const both = [luminance(over(ink, back, ink[3] * opacity)), luminance(back)].sort((one, other) => other - one);
    return (both[0] + 0.05) / (both[1] + 0.05);
  };
  const found = [];
  const note = (element, style, text) => {
    if (!text.trim() || !isWritten(element)) return;
    const place = element.closest("[data-testid]")?.dataset.testid;
    const size = element instanceof SVGElement ? null : parseFloat(style.fontSize);  // a drawing is scaled
    found.push({ text: text.trim().slice(0, 60), ratio: contrast(element, style), size, place });
  };
  const visit = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) visit(element.shadowRoot);
      if (element.matches("script, style, canvas *, .textpoint *, option, [data-testid=stIconMaterial]")) continue;
      if (element.matches("[type=range], [type=checkbox], [type=radio], [type=file]")) continue;
      const style = getComputedStyle(element), texts = [...element.childNodes].filter((node) => node.nodeType === 3);
      if (!element.matches("input, textarea")) note(element, style, texts.map((node) => node.data).join(" "));
      else if (element.value) note(element, style, element.value);
      else note(element, getComputedStyle(element, "::placeholder"), element.placeholder);
    }
  };
  visit(document);
  return found;
}
"""


def measured(page: Page) -> list[dict[str, Any]]:
    """Return every piece of text on a page: `text`, `ratio` to what lies behind it, `size` in px (None: in a drawing).

    Left out: what is disabled, which WCAG excepts; symbols; numbers in the cells of a matrix, whose colours
    tests/unit/test_contrast.py checks; the text of tables that are drawn on a canvas.
    """
    found: list[dict[str, Any]] = page.evaluate(MEASURE)
    return found


def without_alt(page: Page) -> list[str]:
    """Return the images of a page that say nothing to a screen reader."""
    return [str(image) for image in page.locator("img:not([alt]), img[alt='']").all()]


FOCUSED = """
() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  const { labels, innerText, title } = element, text = element.querySelector("[data-testid=stMarkdownContainer]");
  return (element.ariaLabel || labels?.[0]?.innerText || text?.innerText || innerText || title || "").trim();
}
"""


def tab_stops(page: Page, count: int) -> list[str]:
    """Press Tab so many times; return the name of what has the focus after each."""
    names = []
    for _ in range(count):
        page.keyboard.press("Tab")
        names.append(" ".join(str(page.evaluate(FOCUSED)).split()))
    return names


def unreadable(page: Page) -> list[dict[str, Any]]:
    """Return the text of a page that is too faint or too small."""
    found = measured(page)
    assert found, "nothing is written there"
    return [each for each in found if each["ratio"] < LEAST_RATIO or (each["size"] or LEAST_PX) < LEAST_PX]
