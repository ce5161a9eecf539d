"""How many photos must a person label? A simulated annotator: `python -m core bench labelling --data DIR [--full]`.

The masks of the pool (the split trainaug, else train) are revealed photo by photo: first 10 photos at random, then
as many again at each step, in random order or as `core.review.ranking` ranks them by the model trained so far. After
each step a new head is trained on EfficientNet-Lite0's ImageNet features, computed once, and evaluated on val: mIoU
over the classes that at least 5 % of the pool's photos show (the others count as background), and the pixels of a
proposal that a person would have to change. Both orders of a seed begin with the same photos and the same model, so
they are compared seed by seed. Without --data the photos are drawn scenes. --full takes every photo and
three seeds, about 20 minutes; the default takes 200 photos of the pool, 50 of val, one seed and the steps up to 40.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.dataset import Dataset, Sample, in_random_order, open_dataset
from core.data.demo import write_demo
from core.data.images import read_mask, read_photo
from core.data.loading.transforms import mask_in_square, photo_in_square
from core.metrics.confusion import confusion_counts, iou, mean
from core.model.architectures import EFFICIENTNET, build_model, split_backbone
from core.model.device import choose_device, choose_precision, device_name, dtype_of
from core.model.predict.upsampling import resolve
from core.model.weights.initial import initialize
from core.review.ranking import Look, look, ranked
from core.training.features import Backbone
from core.training.loop.optimization import learning_rate_factor
from core.training.loss import segmentation_loss
from core.voc import BACKGROUND, VOID

STEPS = (10, 20, 40, 80)
SIZE, MASK_SIZE, BATCH, EPOCHS, LEAST_STEPS, RATE = 256, 64, 8, 25, 100, 1e-3
LEAST_SHARE_OF_PHOTOS = 0.05
ORDERS = ("random", "ranked")


class Score(NamedTuple):
    """mIoU on val, and the wrong pixels of a proposal on average: their share, and their number."""

    miou: float
    wrong: float
    pixels: float


Found = dict[tuple[str, int], list[Score]]
"""The score of each seed by order and labelled photos."""


@dataclasses.dataclass
class Photos:
    """Photos as features, bf16 bits (N, F, h, w, C), plain and mirrored; truth at MASK_SIZE and at the own size."""

    names: list[str]
    features_NFhwC: NDArray[np.uint16]
    masks_NMM: NDArray[np.uint8]
    truths: list[NDArray[np.uint8]]

    def features(self, indices: Sequence[int], form: int) -> Tensor:
        """Return the features of photos, bf16 (N, C, h, w)."""
        bits = torch.from_numpy(self.features_NFhwC[list(indices), form].view(np.int16))
        return bits.view(torch.bfloat16).permute(0, 3, 1, 2)


class Bench:
    """The photos, their classes, and what is trained on them."""

    def __init__(self, data: Dataset, *, is_full: bool) -> None:
        pool = data.splits.get("trainaug") or data.split("train")
        some, few = (None, None) if is_full else (200, 50)
        pool, val = in_random_order(pool, 0)[:some], in_random_order(data.split("val"), 0)[:few]
        self.device = choose_device()
        self.precision = choose_precision("auto", self.device)
        model = build_model(EFFICIENTNET, 2, output_stride=16)
        initialize(model, EFFICIENTNET, "imagenet")
        backbone = Backbone(split_backbone(model.to(self.device), EFFICIENTNET, "backbone")[0], SIZE, self.precision)
        num = data.num_classes
        with ThreadPoolExecutor(4) as threads:
            shown = list(threads.map(lambda s: np.unique(read_mask(s.mask, num)), pool))
        counts_K = np.bincount(np.concatenate(shown), minlength=256)[:num]
        self.ids = [
            each for each in range(num) if each == BACKGROUND or counts_K[each] >= LEAST_SHARE_OF_PHOTOS * len(pool)
        ]
        self.class_names = [data.class_names[each] for each in self.ids]
        self.table_256 = np.zeros(256, np.uint8)
        self.table_256[self.ids], self.table_256[VOID] = range(len(self.ids)), VOID
        self.pool = self._read(pool, num, backbone, forms=2)
        self.val = self._read(val, num, backbone, forms=1)

    def _read(self, samples: Sequence[Sample], num: int, backbone: Backbone, *, forms: int) -> Photos:
        features, masks, truths = [], [], []
        for sample in samples:
            photo_3SS = photo_in_square(read_photo(sample.photo), SIZE)
            features.append(backbone.features(torch.stack([photo_3SS, photo_3SS.flip(-1)][:forms])))
            truths.append(self.table_256[read_mask(sample.mask, num)])
            masks.append(mask_in_square(truths[-1], MASK_SIZE).numpy())
        return Photos([sample.name for sample in samples], np.stack(features), np.stack(masks), truths)

    def train(self, labelled: Sequence[int], seed: int) -> nn.Module:
        """Return a head trained on labelled photos of the pool."""
        torch.manual_seed(seed)
        head: nn.Module = build_model(EFFICIENTNET, len(self.ids), output_stride=16).classifier.to(self.device).train()
        optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.01)
        random = np.random.default_rng(seed)
        num_steps = max(LEAST_STEPS, EPOCHS * len(labelled) // BATCH)
        order: list[int] = []
        for step in range(num_steps):
            if len(order) < BATCH:
                order += random.permutation(list(labelled)).tolist()
            batch, order = order[:BATCH], order[BATCH:]
            form = int(random.integers(2))
            masks = torch.from_numpy(self.pool.masks_NMM[batch].astype(np.int64)).to(self.device)
            masks = masks.flip(-1) if form else masks
            optimizer.param_groups[0]["lr"] = RATE * learning_rate_factor("one-cycle", step / num_steps)
            with torch.autocast(self.device.type, dtype_of(self.precision), enabled=self.precision != "fp32"):
                out = head(self.pool.features(batch, form).to(self.device, dtype_of(self.precision)))
            optimizer.zero_grad()
            segmentation_loss({"out": out.float()}, masks).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return head.eval()

    @torch.inference_mode()
    def logits(self, head: nn.Module, features_NChw: Tensor) -> Tensor:
        """Return logits_NKhw, float32, on the coarse grid."""
        with torch.autocast(self.device.type, dtype_of(self.precision), enabled=self.precision != "fp32"):
            logits: Tensor = head(features_NChw.to(self.device, dtype_of(self.precision)))
        return logits.float()

    def looks(self, head: nn.Module, indices: Sequence[int]) -> dict[str, Look]:
        """Return what the model makes of photos of the pool, by name."""
        seen = {}
        for index in indices:
            features_1Chw = self.pool.features([index], 0)
            fine = F.interpolate(
                self.logits(head, features_1Chw), (MASK_SIZE,) * 2, mode="bilinear", align_corners=False
            )
            seen[self.pool.names[index]] = look(
                fine[0], features_1Chw[0].float().mean(dim=(1, 2)), range(len(self.ids))
            )
        return seen

    def ranked(self, head: nn.Module, labelled: Sequence[int], rest: Sequence[int]) -> list[int]:
        """Return the photos of the pool that are left, the one to label first at the head."""
        at = {self.pool.names[index]: index for index in rest}
        known = [self.pool.features([index], 0)[0].float().mean(dim=(1, 2)).numpy() for index in labelled]
        return [at[each.name] for each in ranked(self.looks(head, rest), known, self.class_names)]

    @torch.inference_mode()
    def score(self, head: nn.Module) -> Score:
        """Return the mIoU on val, and the wrong pixels of a proposal on average."""
        counts, wrong = np.zeros((len(self.ids),) * 2, np.int64), []
        for index, truth_HW in enumerate(self.val.truths):
            coarse_Khw = self.logits(head, self.val.features([index], 0))[0]
            fine_KSS = F.interpolate(coarse_Khw[None], (SIZE, SIZE), mode="bilinear", align_corners=False)[0]
            predicted_HW = resolve(fine_KSS, truth_HW.shape).mask_HW
            counts += confusion_counts(truth_HW, predicted_HW, len(self.ids))
            wrong.append(int(((predicted_HW != truth_HW) & (truth_HW != VOID)).sum()))
        return self._scored(counts, wrong)

    def _scored(self, counts: NDArray[np.int64], wrong: Sequence[int]) -> Score:
        shares = [pixels / truth.size for pixels, truth in zip(wrong, self.val.truths, strict=True)]
        return Score(mean(iou(counts)) or 0.0, float(np.mean(shares)), float(np.mean(wrong)))

    def floor(self) -> Score:
        """Return the same for a proposal of background everywhere."""
        every = [np.full_like(truth, BACKGROUND) for truth in self.val.truths]
        pairs = list(zip(self.val.truths, every, strict=True))
        counts = sum(
            (confusion_counts(*pair, len(self.ids)) for pair in pairs), np.zeros((len(self.ids),) * 2, np.int64)
        )
        return self._scored(counts, [int(((truth != guess) & (truth != VOID)).sum()) for truth, guess in pairs])


def annotate(bench: Bench, seed: int, steps: Sequence[int], report: Callable[[str, int, Score], None]) -> None:
    """Label the pool in both orders from the same first photos, and report order, photos and score."""
    order = np.random.default_rng(seed).permutation(len(bench.pool.names)).tolist()
    first_head = bench.train(order[: steps[0]], seed)
    first = bench.score(first_head)
    for name in ORDERS:
        labelled, head = order[: steps[0]], first_head
        report(name, steps[0], first)
        for count in steps[1:]:
            rest = [index for index in order if index not in set(labelled)]
            if name == "ranked":
                rest = bench.ranked(head, labelled, rest)
            labelled = labelled + rest[: count - len(labelled)]
            head = bench.train(labelled, seed)
            report(name, count, bench.score(head))


def main() -> None:
    """Label, then show a table; the last line is the JSON document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or write_demo(Path(folder), num_train=200, num_val=30)
        bench = Bench(open_dataset(data), is_full=arguments.full)
    steps, seeds = (STEPS, range(3)) if arguments.full else (STEPS[:-1], range(1))
    found: Found = {}
    for seed in seeds:

        def report(order: str, count: int, score: Score, seed: int = seed) -> None:
            found.setdefault((order, count), []).append(score)
            figures = f"mIoU {score.miou:.3f}  wrong {score.wrong:.3f}  {time.perf_counter() - began_s:6.0f} s"
            print(f"seed {seed}  {order:<8}{count:>4} photos  {figures}", flush=True)

        annotate(bench, seed, steps, report)
    print_table(bench, found, steps)


def print_table(bench: Bench, found: Found, steps: Sequence[int]) -> None:
    """Print means and, in brackets, the least and the most of the seeds, ranked less random; then the JSON document."""
    floor = bench.floor()
    print(f"classes: {', '.join(bench.class_names)}")
    print(f"{len(bench.pool.names)} photos to label, {len(bench.val.names)} of val")
    print(f"background everywhere: mIoU {floor.miou:.3f}, {floor.wrong:.3f} ({floor.pixels:,.0f} px) to change")
    print("photos  " + "".join(f"{f'{order}: mIoU':<24}{'to change':<26}" for order in ORDERS) + "ranked less random")
    figures = {"floor_miou": floor.miou, "floor_wrong": floor.wrong}
    for count in steps:
        cells = []
        for order in ORDERS:
            miou, wrong, pixels = np.mean(found[order, count], axis=0).tolist()
            mious = [score.miou for score in found[order, count]]
            cells.append(f"{miou:.3f} ({min(mious):.3f} to {max(mious):.3f})".ljust(24))
            cells.append(f"{wrong:.3f}, {pixels:,.0f} px".ljust(26))
            figures |= {f"{order}_{count}_miou": miou, f"{order}_{count}_wrong": wrong, f"{order}_{count}_px": pixels}
        pairs = zip(*(found[order, count] for order in ORDERS), strict=True)
        cells.append(" ".join(f"{ranked.miou - random.miou:+.3f}" for random, ranked in pairs))
        print(f"{count:>6}  " + "".join(cells))
    last = steps[-1]
    ratios = {"ranked_over_random_miou": figures[f"ranked_{last}_miou"] / figures[f"random_{last}_miou"]}
    print(json.dumps({"name": "labelling", "device": device_name(bench.device), "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
