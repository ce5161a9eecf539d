"""Take pictures of every page of a running dashboard: `python dev/screenshots.py OUT [URL]`.

Needs the system's chromium. Writes OUT/PAGE-THEME-WIDTH.png for light and dark at 1280 px and light at 400 px, and
OUT/compare.png, the upper part of Compare that the README shows (`docs/images/compare.png`).
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

PAGES = {name: "" if name == "home" else name for name in ("home", "dataset", "train", "compare", "present", "segment")}
"""Name and address of each."""
README_PICTURE: ViewportSize = {"width": 1280, "height": 1020}
LOOKS = (("light", 1280), ("dark", 1280), ("light", 400))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Visit every page in every look."""
    out = Path(sys.argv[1])
    url = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8501"
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for theme, width in LOOKS:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
            for name, path in PAGES.items():
                take(page, f"{url}/{path}", out / f"{name}-{theme}-{width}.png")
        page = browser.new_page(viewport=README_PICTURE, color_scheme="light")
        open_at_rest(page, f"{url}/compare")
        page.screenshot(path=out / "compare.png")
        browser.close()


def take(page: Page, url: str, file: Path) -> None:
    """Open a page, make its full height the window, and take its picture."""
    open_at_rest(page, url)
    main_height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    size = page.viewport_size or {"width": 1280, "height": 900}
    page.set_viewport_size({"width": size["width"], "height": min(max(main_height, 900), 4000)})
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file)
    page.set_viewport_size({"width": size["width"], "height": 900})


def open_at_rest(page: Page, url: str) -> None:
    """Open a page, and wait until its script has run and its pictures are there."""
    page.goto(url)
    page.wait_for_selector("h1, [data-testid=stAlert]")  # Present has no title where there is nothing to present
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")  # what is still to be drawn


if __name__ == "__main__":
    main()
