"""Twenty people who segment photos at once, in browsers, before one server: `python -m core bench crowd`.

Each has a window of its own in which it hands in photo after photo, none twice, for `BENCH_CROWD_S` seconds (60; 120
for the figures in the README). Every answer must be of the photo that was handed in, and its downloaded mask the one
that the same checkpoint gives outside of the dashboard. Told are the waits from the photo to its picture, and the
memory of the server. Needs the system's chromium.
"""

import asyncio
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from core.data.demo import write_demo
from core.home import PROJECT_ROOT
from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import CheckpointMeta, save_checkpoint
from core.model.photo import open_photo
from core.model.predict.predictor import open_predictor
from core.training.run.folders import Run, create_run
from core.training.settings.presets import preset
from core.voc import CLASS_NAMES
from tests.bench._rounds import print_figures
from tests.e2e.conftest import CHROMIUM, FLAGS, free_port, wait_for_server
from tests.e2e.hands import AT_REST

PEOPLE = int(os.environ.get("BENCH_CROWD", "20"))
SECONDS = float(os.environ.get("BENCH_CROWD_S", "60"))
PHOTO_SIZE = (500, 375)
ANSWER_MS = 120_000


@dataclass
class Seen:
    """What happened: waits in seconds, answers that were wrong, errors that a page showed."""

    waits_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)


def main() -> None:
    """Serve, let the people in, then print them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        run = small_run(Path(folder))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            # A session of its own gets a share of the processors of its own; people's browsers are elsewhere.
            server = subprocess.Popen(
                [*command, "--server.headless", "true"], cwd=PROJECT_ROOT, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        try:
            wait_for_server(f"{url}/_stcore/health", server)
            seen = asyncio.run(crowd(f"{url}/segment", psutil.Process(server.pid), run))
        finally:
            server.terminate()
            server.wait(timeout=30)
        has_traceback = "Traceback" in log.read_text()
    for error in dict.fromkeys([*seen.errors, *seen.wrong]):
        print(error, flush=True)
    half = len(seen.resident_mb) // 2
    print_figures("crowd", {
        "people": PEOPLE,
        "photos": len(seen.waits_s),
        "median_wait_s": statistics.median(seen.waits_s),
        "longest_wait_s": max(seen.waits_s),
        "wrong_answers": len(seen.wrong),
        "errors": len(seen.errors) + int(has_traceback),
        "server_mb_halfway": max(seen.resident_mb[:half]),
        "server_mb_at_most": max(seen.resident_mb),
    }, {"memory_second_half_over_first": max(seen.resident_mb[half:]) / max(seen.resident_mb[:half])})  # fmt: skip


def small_run(home: Path) -> Run:
    """Return a run on drawn scenes with one small checkpoint of random weights."""
    run = create_run("crowd", write_demo(home / "demo", num_train=2, num_val=1), "demo", preset("demo"))
    torch.manual_seed(0)
    model = build_model(MOBILENET, len(CLASS_NAMES), output_stride=16).eval()
    meta = CheckpointMeta(
        architecture=MOBILENET, class_names=CLASS_NAMES, output_stride=16, has_aux_head=False, image_size=128, epoch=1
    )
    save_checkpoint(run.path / "epoch_001.pt", model, meta)
    return run


async def crowd(url: str, server: psutil.Process, run: Run) -> Seen:
    """Let everybody hand in photos until the time is over."""
    seen = Seen()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        ends_s = time.monotonic() + SECONDS
        people = [person(browser, url, number, ends_s, seen) for number in range(PEOPLE)]
        watching = asyncio.create_task(watch(server, seen))
        answers = await asyncio.gather(*people)
        watching.cancel()
        await browser.close()
    predictor, _ = open_predictor(run.path / "epoch_001.pt")
    for photo, mask in answers:
        if not mask:
            continue
        expected_HW = predictor.predict(open_photo(photo, "photo")).mask_HW
        if not np.array_equal(np.asarray(Image.open(io.BytesIO(mask))), expected_HW):
            seen.wrong.append("a mask is not that of its photo")
    return seen


async def watch(server: psutil.Process, seen: Seen) -> None:
    """Note the memory of the server twice a second."""
    while True:
        seen.resident_mb.append(server.memory_info().rss / 1e6)
        await asyncio.sleep(0.5)


async def person(browser: Browser, url: str, number: int, ends_s: float, seen: Seen) -> tuple[bytes, bytes]:
    """Hand in photo after photo; returns the last one and the mask that was downloaded for it."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = await context.new_page()
    page.set_default_timeout(ANSWER_MS)
    await page.goto(url)
    random = np.random.default_rng(number)
    turn, photo = 0, b""
    while turn == 0 or time.monotonic() < ends_s:
        photo, name = drawn(random), f"person{number}-{turn}.png"
        began_s = time.monotonic()
        await hand_in(page, photo, name)
        seen.waits_s.append(time.monotonic() - began_s)
        alerts = await page.get_by_role("alert").all_inner_texts()
        seen.errors.extend(text for text in alerts if name not in text and "drawn scenes" not in text)
        turn += 1
    mask = await saved_mask(page, seen)
    return photo, mask


async def saved_mask(page: Page, seen: Seen) -> bytes:
    """Return the index mask as it is saved once the page is at rest; one that does not come is an error, and empty."""
    await page.wait_for_selector(AT_REST)
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Index mask").click()
    download = await downloading.value
    if failure := await download.failure():
        seen.errors.append(f"the mask was not saved: {failure}")
        return b""
    return await asyncio.to_thread((await download.path()).read_bytes)


async def hand_in(page: Page, photo: bytes, name: str) -> None:
    """Take the last photo away, hand in another, and wait for its picture."""
    for remove in await page.get_by_role("button", name="Remove").all():
        await remove.click()
        await page.get_by_role("application").wait_for(state="detached")
    await page.locator("input[type=file]").first.set_input_files(
        files=[{"name": name, "mimeType": "image/png", "buffer": photo}]
    )
    await page.get_by_alt_text(f"{name} with its classes").first.wait_for()


def drawn(random: np.random.Generator) -> bytes:
    """Return a photo of soft random colours, unlike any other, as a PNG file."""
    small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize(PHOTO_SIZE, Image.Resampling.BICUBIC).save(buffer, format="PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
