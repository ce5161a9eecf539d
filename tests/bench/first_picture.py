"""How long a page says nothing: `python -m core bench first_picture`.

Seconds from the address to the first number or picture on the screen, of each page in a new tab of the system's
chromium: the median and the least of several loads in turn, after one that is not counted, on a home with the demo's
scenes and two evaluated milestones. A number is a metric or a percentage in a text; a picture is loaded and drawn; a
chart or a table counts too. `_cpu_` is the processor time of the browser's page until then, which other programs do not
lengthen; `_rest_` is until the page's script has ended. The ratios are shares of what is allowed.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from core.data.dataset import open_dataset
from core.data.demo import write_demo
from core.data.images import mask_image, png_bytes, read_mask
from core.home import PROJECT_ROOT
from core.training.run.folders import Run, create_run
from core.training.run.milestones import epoch_name
from core.training.settings.presets import preset
from core.voc import CLASS_NAMES
from tests.app.conftest import write_records
from tests.app.stored import guess_background, guess_half, store_milestone
from tests.e2e.conftest import CHROMIUM, FLAGS, free_port, wait_for_server
from tests.e2e.hands import AT_REST

ROUNDS = 7
ALLOWED_S = {"home": 1.5, "dataset": 3.0, "train": 3.0, "compare": 3.0, "segment": 1.5, "segment_sample": 1.5}
ADDRESSES = {
    "home": "",
    "segment": "segment?checkpoint=starter",
    "segment_sample": "segment?checkpoint=starter&photo=Sample",
}
"""What follows the server's address, where it is not the page's name."""
NUM_VAL, NUM_SAMPLES = 40, 4
PAGE_MS = 60_000

WATCH = """
const isOnScreen = (element) => {
  const box = element.getBoundingClientRect();
  return box.width > 24 && box.height > 8 && box.bottom > 0 && box.top < innerHeight;
};
const marks = {
  picture: ["img", (image) => image.complete && image.naturalWidth > 24],
  number: ["[data-testid=stMetricValue]", (metric) => /[0-9]/.test(metric.textContent)],
  percentage: [
    "[data-testid=stMarkdownContainer], [data-testid=stCaptionContainer]", (text) => /[0-9] %/.test(text.textContent),
  ],
  drawn: [".js-plotly-plot .main-svg, [data-testid=stDataFrame] canvas, [data-testid=stTable] td", () => true],
};
const look = () => {
  const page = document.querySelector("[data-testid=stMain]");
  const roots = page ? [page, ...[...page.querySelectorAll("*")].map((each) => each.shadowRoot).filter(Boolean)] : [];
  for (const [kind, [selector, holds]] of page ? Object.entries(marks) : []) {
    const there = roots.flatMap((root) => [...root.querySelectorAll(selector)]);
    if (there.some((element) => isOnScreen(element) && holds(element))) {
      window.firstSeen = [performance.now(), kind];
      return;
    }
  }
  requestAnimationFrame(look);
};
look();
"""
"""Runs in the browser before the page's own scripts."""


def main() -> None:
    """Make a home, serve it, load the pages in turn, then print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(sys.argv[1]) if sys.argv[1:] else make_home(Path(folder) / "home")
        with served(home, Path(folder) / "server.log") as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            figures = measure(browser, url)
            browser.close()
    device = f"CPU ({os.cpu_count()} threads)"
    ratios = {f"{name}_s": figures[f"{name}_s"] / allowed_s for name, allowed_s in ALLOWED_S.items()}
    print(json.dumps({"name": "first_picture", "device": device, "figures": figures, "ratios": ratios}))


def make_home(home: Path) -> Path:
    """Write the demo's scenes and a run on them whose two milestones are evaluated; return the folder."""
    os.environ["ATROUS_HOME"] = str(home)
    data = write_demo(home / "datasets" / "demo")
    run = create_run("demo", data, "demo", preset("demo"))
    write_records(run, 50, ended="finished")
    for epoch, guess in ((10, guess_background), (50, guess_half)):
        store_milestone(run, epoch, guess)
        write_samples(run, epoch)
    subprocess.run(
        [sys.executable, "-m", "core", "stats", str(data), "--json"], cwd=PROJECT_ROOT, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return home


def write_samples(run: Run, epoch: int) -> None:
    """Write predictions of a few validation photos as the trainer does after an epoch: here their true masks."""
    folder = run.path / "samples" / epoch_name(epoch)
    folder.mkdir(parents=True)
    for sample in open_dataset(run.data).split("val")[:NUM_SAMPLES]:
        (folder / f"{sample.name}.png").write_bytes(png_bytes(mask_image(read_mask(sample.mask, len(CLASS_NAMES)))))


@contextmanager
def served(home: Path, log: Path) -> Iterator[str]:
    """Serve the dashboard on a home; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py", "--server.port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--server.headless", "true"], cwd=PROJECT_ROOT, env=os.environ | {"ATROUS_HOME": str(home)},
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_for_server(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=30)


class Load(NamedTuple):
    """Seconds until something is on the screen, by the clock and of the page's processor, and until rest; its kind."""

    first_s: float
    cpu_s: float
    rest_s: float
    kind: str


def measure(browser: Browser, url: str) -> dict[str, float]:
    """Return the figures of each page."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.add_init_script(WATCH)
    loads: dict[str, list[Load]] = {name: [] for name in ALLOWED_S}
    for number in range(1 + ROUNDS):
        for name in ALLOWED_S:
            loads[name].append(load(context, f"{url}/{ADDRESSES.get(name, name)}"))
            first_s, cpu_s, rest_s, kind = loads[name][-1]
            print(
                f"{number or 'cold':>4} {name:<15} {kind:<10} {first_s:6.2f} s, of the page {cpu_s:5.2f} s, "
                f"at rest {rest_s:6.2f} s", flush=True,
            )  # fmt: skip
    figures = {}
    for name, (_, *warm) in loads.items():
        first_s, cpu_s, rest_s, _ = zip(*warm, strict=True)
        figures |= {f"{name}_s": statistics.median(first_s), f"{name}_least_s": min(first_s)}
        figures |= {f"{name}_cpu_s": statistics.median(cpu_s), f"{name}_rest_s": statistics.median(rest_s)}
    return figures


def load(context: BrowserContext, address: str) -> Load:
    """Open an address in a new tab, and close the tab once the page is at rest."""
    page = context.new_page()
    metrics = context.new_cdp_session(page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    page.wait_for_function("window.firstSeen", timeout=PAGE_MS)
    values = {each["name"]: each["value"] for each in metrics.send("Performance.getMetrics")["metrics"]}
    page.wait_for_selector(AT_REST, timeout=PAGE_MS)
    first_ms, kind = page.evaluate("window.firstSeen")
    rest_s = page.evaluate("performance.now()") / 1e3
    page.close()
    return Load(first_ms / 1e3, values["TaskDuration"], rest_s, kind)


if __name__ == "__main__":
    main()
