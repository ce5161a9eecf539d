"""What a GPU is worth here: `make bench-gpu`, in at most 8 minutes, on whatever GPU there is.

Each part is a process of its own with a share of the time, killed when that is over; what it had measured by then
counts, and what is missing is named under `cut`. The references are torchvision's model and loops (its
references/segmentation) on the same GPU. `--device cpu --tiny` goes through all of it, with figures that mean nothing.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from core.data.dataset import Dataset, Sample, open_dataset
from core.data.demo import write_demo
from core.data.images import read_photo
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.transforms import normalize, photo_in_square
from core.home import PROJECT_ROOT
from core.model.architectures import MOBILENET
from core.model.device import CPU, accelerator, choose_precision, device_name, synchronize
from core.model.fast import dynamo
from core.model.predict.predictor import Predictor
from core.training.evaluation import evaluate
from core.training.loop.loop import TrainingLoop
from core.training.loop.memory import peak_memory_bytes
from core.training.loop.trainer import train
from core.training.loop.trial import training_device
from core.training.run.folders import create_run
from core.training.run.records import Epoch, RunStarted, Warned
from core.training.settings.config import TrainingConfig, with_settings
from core.training.settings.presets import preset
from core.voc import VOID
from tests.bench._report_loop import ReportPairs, report_model

TOTAL_S = 470.0
PROGRAM = (sys.executable, "-m", "tests.bench.gpu")
SHARES = {"trial": 0.08, "training": 0.26, "evaluation": 0.12, "prediction": 0.08, "run": 0.26, "compiled": 0.20}
"""The parts in their order, and their shares of the time; what one leaves is the next one's."""
STARTING_S = 12.0
"""Python and torch are loaded before a part begins; a part stops this much earlier than it is killed."""

PHOTO_SIZE = (500, 375)
MOST_WORKERS = 16

Figures = Iterator[tuple[str, float]]


@dataclasses.dataclass(frozen=True)
class Bench:
    """What the parts share; `until_s` is when a part begins nothing more, by `time.monotonic`."""

    device: torch.device
    dataset: Dataset
    until_s: float
    is_tiny: bool

    @property
    def size_px(self) -> int:
        """Side of the square that the models see in training."""
        return 64 if self.is_tiny else 256

    @property
    def batch_size(self) -> int:
        """Photos in a step."""
        return 2 if self.is_tiny else 16

    @property
    def samples(self) -> tuple[Sample, ...]:
        """Training photos of an epoch that is timed, the same again and again where there are few."""
        train, wanted = self.dataset.split("train"), 2 if self.is_tiny else 256
        return (train * (1 + wanted // len(train)))[:wanted]

    def rate(self, act: Callable[[], object], images: int, *, warm_up: int = 1, rounds: int = 5) -> float | None:
        """Return the median images a second of an act; None if there is no time for it."""
        times_s: list[float] = []
        for number in range(warm_up + (1 if self.is_tiny else rounds)):
            if time.monotonic() > self.until_s and (number <= warm_up or times_s):
                break
            began_s = time.perf_counter()
            act()
            synchronize(self.device)
            times_s += [time.perf_counter() - began_s] if number >= warm_up else []
        return images / statistics.median(times_s) if times_s else None


def main() -> int:
    """Run the parts, print their figures, and on the last line all of it as JSON."""
    given = _arguments()
    device = torch.device(given.device) if given.device else accelerator()
    if device is None:
        print("There is no GPU that PyTorch finds, so there is nothing to measure.", file=sys.stderr)
        return 1
    if given.part:
        _print_part(given, device)
        return 0
    began_s, figures, cut = time.monotonic(), dict[str, float](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        train, val = (4, 2) if given.tiny else (160, 40)
        data = given.data or write_demo(Path(folder), num_train=train, num_val=val)
        end_s = began_s
        for part, share in SHARES.items():
            end_s += share * given.seconds
            budget_s = max(1.0, end_s - time.monotonic())
            options = ["--data", str(data), "--device", device.type, *(["--tiny"] if given.tiny else [])]
            found, why = _run_part(part, options, budget_s, Path(folder))
            figures |= found
            cut += [f"{part}: {why}"] if why else []
    ratios = _ratios(figures)
    for name, value in (figures | ratios).items():
        print(f"{name:<52}{value:12.4g}")
    for each in cut:
        print(f"cut: {each}")
    document = {
        "name": "gpu", "device": device_name(device), "torch": torch.__version__, "seconds": time.monotonic() - began_s,
        "figures": figures, "ratios": ratios, "cut": cut,
    }  # fmt: skip
    print(json.dumps(document))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a data set to train on; drawn scenes if left out")
    parser.add_argument("--device", help="the device, as PyTorch names it, instead of the GPU that is found")
    parser.add_argument("--tiny", action="store_true", help="go through everything once, as small as it can be")
    parser.add_argument("--seconds", type=float, default=TOTAL_S, help="seconds for all of it")
    parser.add_argument("--part", choices=SHARES, help="one part alone, in this process")
    return parser.parse_args()


def _run_part(part: str, options: list[str], budget_s: float, folder: Path) -> tuple[dict[str, float], str]:
    """Run a part in a process of its own; return its figures, and why there are not all of them."""
    command = [*PROGRAM, *options, "--part", part, "--seconds", str(budget_s)]
    home = folder / f"home-{part}"
    home.mkdir()
    with (folder / f"{part}.txt").open("w+", encoding="utf-8") as output:
        with subprocess.Popen(
            command, cwd=PROJECT_ROOT, stdout=output, env=os.environ | {"ATROUS_HOME": str(home)}
        ) as process:
            try:
                code = process.wait(budget_s)
                why = f"it ended with exit code {code}; see above" if code else ""
            except subprocess.TimeoutExpired:
                process.kill()
                why = f"its {budget_s:.0f} s were over"
        output.seek(0)
        found = dict(json.loads(line) for line in output if line.startswith("["))
    missing = [name for name, value in found.items() if value is None]
    if missing and not why:
        why = f"no time for {', '.join(missing)}"
    return {name: value for name, value in found.items() if value is not None}, why


def _print_part(given: argparse.Namespace, device: torch.device) -> None:
    """Print a line for each figure as it comes: a part that is killed leaves what it has."""
    until_s = time.monotonic() + max(1.0, given.seconds - STARTING_S)
    bench = Bench(device, open_dataset(given.data), until_s, given.tiny)
    for name, value in PARTS[given.part](bench):
        print(json.dumps([name, value]), flush=True)


def _ratios(figures: dict[str, float]) -> dict[str, float]:
    """Return ours against the reference of the same number format on the same device."""
    pairs = {
        "training_fp32": ("training_ours_fp32", "training_reference_tf32"),
        "training_bf16": ("training_ours_bf16", "training_reference_bf16_channels_last"),
        "training_bf16_replayed": ("training_ours_bf16", "training_ours_bf16_not_replayed"),
        "training_bf16_compiled": ("compiled_ours_bf16", "compiled_reference_bf16"),
        "evaluation": ("evaluation_ours", "evaluation_reference"),
        "prediction": ("prediction_ours", "prediction_reference"),
    }
    keys = {name: tuple(f"{each}_images_per_second" for each in pair) for name, pair in pairs.items()}
    return {name: figures[ours] / figures[its] for name, (ours, its) in keys.items() if {ours, its} <= figures.keys()}


# --- parts ------------------------------------------------------------------------------------------------------------


def trial(bench: Bench) -> Figures:
    """Whether `device=auto` uses the GPU, and how long it takes to find out."""
    began_s = time.perf_counter()
    device, why = training_device("auto")
    print(f"trial: {why or f'{device_name(device)} is used'}", file=sys.stderr)
    yield "trial_uses_gpu", float(device.type != "cpu")
    yield "trial_s", time.perf_counter() - began_s


REFERENCES = {
    "fp32": ("fp32", torch.contiguous_format),
    "tf32": ("tf32", torch.contiguous_format),
    "tf32_channels_last": ("tf32", torch.channels_last),
    "bf16": ("bf16", torch.contiguous_format),
    "bf16_channels_last": ("bf16", torch.channels_last),
}


def training(bench: Bench) -> Figures:
    """Whole epochs with loading: torchvision's loop in each number format and layout, and ours."""
    num_classes = bench.dataset.num_classes
    for name, (number_format, layout) in REFERENCES.items():
        epoch = reference_epoch(bench, number_format, layout, report_model(num_classes))
        yield from _trained(bench, f"training_reference_{name}", epoch)
    for precision in ("fp32", "bf16"):
        _allow_tf32(is_allowed=True)
        yield from _trained(bench, f"training_ours_{precision}", our_epoch(bench, precision))
    with switched_off():
        yield from _trained(bench, "training_ours_bf16_not_replayed", our_epoch(bench, "bf16"))


def compiled(bench: Bench) -> Figures:
    """The same, compiled: its first epoch takes long."""
    backend = "eager" if bench.device.type == "cpu" else "inductor"
    model = report_model(bench.dataset.num_classes)
    model.compile(backend=backend)
    epoch = reference_epoch(bench, "bf16", torch.channels_last, model)
    yield from _trained(bench, "compiled_reference_bf16", epoch)
    yield from _trained(bench, "compiled_ours_bf16", our_epoch(bench, "bf16", compiled_by=backend))


def _trained(bench: Bench, name: str, epoch: Callable[[], None]) -> Figures:
    """Yield images a second, the seconds of the first epoch, and the peak of the device's memory."""
    if bench.device.type in ("cuda", "xpu"):
        getattr(torch, bench.device.type).reset_peak_memory_stats()
    began_s = time.perf_counter()
    if time.monotonic() < bench.until_s:
        epoch()
        synchronize(bench.device)
        yield f"{name}_first_epoch_s", time.perf_counter() - began_s
    yield f"{name}_images_per_second", bench.rate(epoch, len(bench.samples), warm_up=0)  # type: ignore[misc]
    yield f"{name}_memory_mb", peak_memory_bytes(bench.device) / 1e6


def _allow_tf32(*, is_allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = is_allowed
    torch.backends.cuda.matmul.allow_tf32 = is_allowed


def reference_epoch(
    bench: Bench, number_format: str, layout: torch.memory_format, model: nn.Module
) -> Callable[[], None]:
    """Return what trains torchvision's model for an epoch as its reference does: SGD, loader processes, autocast."""
    _allow_tf32(is_allowed=number_format == "tf32")
    device = bench.device
    model = model.to(device, memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    workers = 0 if bench.is_tiny else min(MOST_WORKERS, os.cpu_count() or 1)
    loader = DataLoader(
        ReportPairs(bench.samples, bench.size_px), batch_size=bench.batch_size, shuffle=True, drop_last=True,
        num_workers=workers, pin_memory=device.type == "cuda", persistent_workers=workers > 0,
    )  # fmt: skip
    is_bf16 = number_format == "bf16"

    def train_epoch() -> None:
        for images, masks in loader:
            on_device = images.to(device, memory_format=layout, non_blocking=device.type == "cuda")
            with torch.autocast(device.type, torch.bfloat16) if is_bf16 else nullcontext():
                loss = F.cross_entropy(model(on_device)["out"], masks.to(device), ignore_index=VOID)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return train_epoch


def our_epoch(bench: Bench, precision: str, *, compiled_by: str = "") -> Callable[[], None]:
    """Return what trains the same model for an epoch as a run does, without validating."""
    config = TrainingConfig(
        architecture=MOBILENET if bench.is_tiny else "deeplabv3_resnet50", output_stride=16 if bench.is_tiny else 8,
        precision=precision, image_size=bench.size_px, batch_size=bench.batch_size, optimizer="sgd", learning_rate=0.01,
    )  # fmt: skip
    dataset = bench.dataset
    loop = TrainingLoop(config, bench.samples, dataset.split("val"), dataset.classes, bench.device)
    if compiled_by:
        loop.compile_step(compiled_by)
    for _ in loop.train_pairs.cache():
        pass

    def train_epoch() -> None:
        for record in loop.train_epoch(lambda: False):
            if isinstance(record, Warned):
                print(f"training: {record.message}", file=sys.stderr)
        loop.progress.step_in_epoch = 0

    return train_epoch


@contextmanager
def switched_off() -> Iterator[None]:
    """Build steps in a `with` block that are not replayed."""
    os.environ[dynamo.SWITCH] = "0"
    try:
        yield
    finally:
        del os.environ[dynamo.SWITCH]


def evaluation(bench: Bench) -> Figures:
    """Validation photos at their own size: torchvision's way, a photo at a time, and ours with all it counts."""
    dataset = bench.dataset
    model, samples = report_model(dataset.num_classes).to(bench.device).eval(), dataset.split("val")
    pairs = SquarePairs(samples, dataset.num_classes, bench.size_px)
    read = ReportPairs(samples, bench.size_px)
    _allow_tf32(is_allowed=True)

    @torch.no_grad()
    def as_reference() -> None:
        counts = torch.zeros(dataset.num_classes**2, dtype=torch.int64, device=bench.device)
        for image, mask_SS in DataLoader(read, num_workers=0):
            ids = model(image.to(bench.device))["out"].argmax(1).flatten()
            truth = mask_SS.to(bench.device).flatten()
            counted = truth < dataset.num_classes
            cells = dataset.num_classes * truth[counted] + ids[counted]
            counts += torch.bincount(cells, minlength=dataset.num_classes**2)
        counts.cpu()

    def ours() -> None:
        precision = choose_precision("auto", bench.device)
        predictor = Predictor(model, image_size=bench.size_px, device=bench.device, precision=precision)
        for _ in evaluate(predictor, pairs, dataset.classes):
            pass

    for name, act in (("reference", as_reference), ("ours", ours)):
        yield f"evaluation_{name}_images_per_second", bench.rate(act, len(samples))  # type: ignore[misc]


def prediction(bench: Bench) -> Figures:
    """A photo of 500 x 375 px to its mask, model at 520 px."""
    size_px = bench.size_px if bench.is_tiny else 520
    photo = read_photo(bench.dataset.split("val")[0].photo).resize(PHOTO_SIZE)
    model = report_model(bench.dataset.num_classes).to(bench.device).eval()
    _allow_tf32(is_allowed=True)

    @torch.no_grad()
    def as_reference(photo: Image.Image = photo) -> None:
        logits = model(normalize(photo_in_square(photo, size_px))[None].to(bench.device))["out"]
        F.interpolate(logits, PHOTO_SIZE[::-1], mode="bilinear", align_corners=False).argmax(1).cpu()

    yield "prediction_reference_images_per_second", bench.rate(as_reference, 1, rounds=30)  # type: ignore[misc]
    precision = choose_precision("auto", bench.device)
    predictor = Predictor(model, image_size=size_px, device=bench.device, precision=precision)
    ours = bench.rate(lambda: predictor.predict(photo), 1, rounds=30)
    yield "prediction_ours_images_per_second", ours  # type: ignore[misc]
    yield "prediction_memory_mb", peak_memory_bytes(bench.device) / 1e6


def run(bench: Bench) -> Figures:
    """A real training, by the trainer, of the whole network; its score when the time is over."""
    settings = preset("own-photos")
    changed = {"device": "cpu" if bench.device.type == "cpu" else "auto", "checkpoint_seconds": 1e4}
    if bench.is_tiny:
        changed |= {"epochs": 1, "image_size": 64, "batch_size": 2, "init": "random"}
    made = create_run("bench", bench.dataset.root, "own-photos", with_settings(settings, changed))
    began_s = time.monotonic()
    for record in train(made, was_ended=lambda: time.monotonic() > bench.until_s):
        if isinstance(record, Warned):
            print(f"run: {record.message}", file=sys.stderr)
        elif isinstance(record, RunStarted):
            yield "run_floor_miou", record.floor["miou"] or 0.0
            yield "run_uses_gpu", float(record.device == device_name(bench.device) and bench.device != CPU)
        elif isinstance(record, Epoch):
            yield "run_epochs", float(record.epoch)
            yield "run_miou", record.miou or 0.0
            yield "run_images_per_second", record.images_per_second
            yield "run_memory_mb", record.peak_memory_bytes / 1e6
            yield "run_s", time.monotonic() - began_s


PARTS: dict[str, Callable[[Bench], Figures]] = {
    "trial": trial, "training": training, "evaluation": evaluation, "prediction": prediction, "run": run,
    "compiled": compiled,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
