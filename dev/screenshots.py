"""Take pictures of every page of a running dashboard: `python -m dev.screenshots OUT [URL]`.

Needs the system's chromium. Writes OUT/PAGE-THEME-WIDTH.png for light and dark at 1280 px and light at 400 px, of the
pages and of an export that is brought, and the pictures of `docs/images`: OUT/compare.png, the upper part of Compare,
and OUT/bring-data.png, the preview of an export of drawn scenes, and OUT/label.png, drawn scenes that are labelled.
"""

import io
import os
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize, sync_playwright

from core.classes import classes_of, write_classes
from core.data.demo import draw_scene
from core.data.images import jpeg_bytes, png_bytes
from core.data.labelling import mark_done, open_label_set, read_label, save_label
from core.data.labelling.proposals import write_proposal
from core.voc import CLASS_NAMES, VOID

LABELLED = (0, 1, 3, 5, 7, 8, 10, 11, 13, 20, 21, 23)
"""Drawn scenes with animals or vehicles: three are done, the next six proposed."""
OF_CLASS = {1: ("cow", "sheep"), 2: ("bus", "car", "train")}
PAGES = {name: "" if name == "home" else name for name in ("home", "dataset", "train", "compare", "present", "segment")}
"""Name and address of each."""
README_PICTURE: ViewportSize = {"width": 1280, "height": 1020}
SCENES = {"train": range(10), "valid": range(10, 12)}
NUM_COLORS = 256
LOOKS = (("light", 1280), ("dark", 1280), ("light", 400))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Visit every page in every look."""
    out = Path(sys.argv[1])
    url = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8501"
    out.mkdir(parents=True, exist_ok=True)
    export = drawn_export(out / "Farm.v2.masks.zip")
    bring = f"dataset?{urlencode({'source': 'Bring data', 'from': export, 'called': export.name})}"
    label = f"label?{urlencode({'source': 'A folder', 'data': drawn_labels(out / 'farm'), 'photo': 'scene_01'})}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for theme, width in LOOKS:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
            for name, path in {**PAGES, "bring": bring, "label": label}.items():
                take(page, f"{url}/{path}", out / f"{name}-{theme}-{width}.png")
        page = browser.new_page(viewport=README_PICTURE, color_scheme="light")
        open_at_rest(page, f"{url}/compare")
        page.screenshot(path=out / "compare.png")
        page = browser.new_page(viewport={"width": 1280, "height": 1300}, color_scheme="light")
        open_at_rest(page, f"{url}/{bring}")
        take_preview(page, out / "bring-data.png")
        page = browser.new_page(viewport={"width": 1280, "height": 1040}, color_scheme="light")
        open_at_rest(page, f"{url}/{label}")
        page.wait_for_selector(".stage[aria-label]")
        save_small(page.screenshot(), out / "label.png")
        browser.close()


def take_preview(page: Page, file: Path) -> None:
    """Take a picture of the preview of an export, from the title to the button that imports."""
    top = page.get_by_role("heading", name="Dataset").bounding_box()
    end = page.get_by_role("button", name="Import", exact=True).bounding_box()
    if not top or not end:
        raise RuntimeError("the preview is not on the screen")
    height = end["y"] + end["height"] - top["y"]
    clip: FloatRect = {"x": top["x"] - 20, "y": top["y"] - 10, "width": 860, "height": height + 30}
    save_small(page.screenshot(clip=clip), file)


def save_small(picture: bytes, file: Path) -> None:
    """Save a picture with few colours, which is a third of its size."""
    with Image.open(io.BytesIO(picture)) as whole:
        whole.convert("RGB").quantize(NUM_COLORS).save(file, optimize=True)


def drawn_labels(root: Path) -> Path:
    """Write a data set of drawn scenes: three are done, six proposed, three as they are."""
    (root / "JPEGImages").mkdir(parents=True, exist_ok=True)
    write_classes(
        root, classes_of(("background", "animal", "vehicle"), ("#000000", "#5289c7", "#f6c141")), replace=True
    )
    scenes = {f"scene_{number:02}": draw_scene(number) for number in LABELLED}
    for name, (photo, _) in scenes.items():
        photo.save(root / "JPEGImages" / f"{name}.jpg", quality=92)
    label_set = open_label_set(root)
    for place, (name, (_, ids_HW)) in enumerate(list(scenes.items())[:9]):
        mask_HW = np.zeros_like(ids_HW)
        for class_id, names in OF_CLASS.items():
            mask_HW[np.isin(ids_HW, [CLASS_NAMES.index(each) for each in names])] = class_id
        if place < 3:
            save_label(label_set, name, mask_HW, base_version=read_label(label_set, name).version)
            mark_done(label_set, name)
        else:
            write_proposal(label_set, name, mask_HW, {})
    return root.absolute()


def drawn_export(file: Path) -> Path:
    """Write an export of drawn scenes as Roboflow's semantic masks: a mask for each photo, a table for each split."""
    scenes = {number: draw_scene(number) for numbers in SCENES.values() for number in numbers}
    ids_K = np.unique(
        [class_id for _, mask_HW in scenes.values() for class_id in np.unique(mask_HW) if class_id != VOID]
    )
    table = "".join(f"{value}, {CLASS_NAMES[class_id]}\n" for value, class_id in enumerate(ids_K))
    with zipfile.ZipFile(file, "w") as archive:
        for split, numbers in SCENES.items():
            archive.writestr(f"{split}/_classes.csv", f"Pixel Value, Class\n{table}")
            for number in numbers:
                photo, mask_HW = scenes[number]
                values_HW = np.where(mask_HW == VOID, VOID, np.searchsorted(ids_K, mask_HW)).astype(np.uint8)
                for ending, data in ((".jpg", jpeg_bytes(photo)), ("_mask.png", png_bytes(Image.fromarray(values_HW)))):
                    archive.writestr(f"{split}/farm_{number}{ending}", data)
    return file.absolute()


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
