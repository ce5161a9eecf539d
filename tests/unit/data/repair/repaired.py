"""What a repaired copy holds, and what every one has to be."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import open_dataset
from core.data.images import read_mask
from core.data.repair.repaired_copy import RepairReport, changes_of, repair
from tests.faulty_data import Patient, examine
from tests.unit.data.analysed import split_stats

MAY_STAY = ("empty mask", "similar photo", "class only in val")
"""Warnings about masks and lists that the user may have meant so; the repair leaves these as they are."""


def hashes(root: Path) -> dict[str, str]:
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def names_in(out: Path) -> dict[str, set[str]]:
    return {split: {sample.name for sample in samples} for split, samples in open_dataset(out).splits.items()}


def check_copy(out: Path, report: RepairReport, may_stay: tuple[str, ...] = MAY_STAY) -> None:
    """The doctor finds no error and only warnings that may stay; every pair is readable; repair.csv has every change.

    A class of one photo is not in val, and a small set has few photos there.
    """
    num_val = len(names_in(out)["val"])
    stays = [found for found in examine(out).findings if found.kind not in may_stay]
    stays = [found for found in stays if "label more photos of it" not in found.detail]
    assert [found for found in stays if found.kind != "few validation photos" or num_val >= 10] == []
    dataset = open_dataset(out)
    assert (dataset.root, report.root) == (out, out)
    for split in ("train", "val"):
        assert split_stats(dataset.split(split), dataset.class_names).images == len(dataset.split(split)) > 0
    assert report.images == len(set().union(*names_in(out).values()))
    assert changes_of(out) == list(report.changes)
    assert not list(out.parent.glob(".*part"))


def mend_all(patient: Patient, mask_of: "dict[str, Image.Image]", out: Path) -> RepairReport:
    """Give every pair one of these masks by the letter of its number, and repair."""
    pictures = list(mask_of.values())
    for number, name in enumerate([*patient.train, *patient.val]):
        pictures[number % len(pictures)].save(patient.mask(name))
    report = repair(patient.root, out)
    check_copy(out, report)
    return report


def mask_in(out: Path, name: str) -> NDArray[np.uint8]:
    return read_mask(out / "SegmentationClass" / f"{name}.png", open_dataset(out).num_classes)
