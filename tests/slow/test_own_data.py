"""Data of one's own: three classes in their own colours, from the doctor to Segment; a sick folder, repaired."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.images import write_mask
from core.home import PROJECT_ROOT
from core.model.checkpoint.checkpoint_file import open_checkpoint
from tests.faulty_data import FAULTS, Patient
from tests.unit.commands.calls import Command

pytestmark = pytest.mark.slow

NAMES = ["background", "red apple", "leaf"]
COLORS = ["#101010", "#cc2222", "#22aa22"]
TINY = {"architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
        "epochs": 1, "precision": "fp32"}  # fmt: skip


@pytest.fixture
def orchard(tmp_path: Path) -> Path:
    """Ten noisy photos with an apple or a leaf, no lists, and a classes.txt with colours."""
    root = tmp_path / "orchard"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(10):
        photo_HW3 = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        mask_HW = np.zeros((48, 64), dtype=np.uint8)
        class_id = 1 + number % 2
        mask_HW[10:40, 20:50] = class_id
        photo_HW3[mask_HW > 0] = [int(COLORS[class_id][at : at + 2], 16) for at in (1, 3, 5)]
        Image.fromarray(photo_HW3).save(root / "images" / f"tree_{number}.jpg", quality=95)
        write_mask(root / "masks" / f"tree_{number}.png", mask_HW)
    lines = (f"{name} {color}\n" for name, color in zip(NAMES, COLORS, strict=True))
    (root / "classes.txt").write_text("".join(lines))
    return root


@pytest.fixture
def answer(core: Command) -> Callable[..., Any]:
    """Run a command in this process and return its document."""
    return lambda *arguments: core(*arguments, "--json").document()


def train(data: Path) -> Any:
    """Train one epoch, in a process of its own, and return how it went."""
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    ended = subprocess.run(
        [sys.executable, "-m", jobs.PROGRAM, "train", "--new", data.name, "--data", str(data), "--preset", "report",
         *settings, "--json"],
        capture_output=True, text=True, cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def palette_of(file: Path) -> list[list[int]]:
    with Image.open(file) as mask:
        assert mask.mode == "P"
        return np.reshape(mask.getpalette() or [], (-1, 3))[: len(NAMES)].tolist()


def test_from_the_folder_to_a_segmented_photo(orchard: Path, tmp_path: Path, answer: Callable[..., Any]) -> None:
    own_palette = [[0x10, 0x10, 0x10], [0xCC, 0x22, 0x22], [0x22, 0xAA, 0x22]]
    assert answer("doctor", orchard)["counts"] == {"class missing in val": 1, "few validation photos": 1}
    assert [entry["name"] for entry in answer("stats", orchard)["classes"]] == NAMES

    trained = train(orchard)
    assert trained["outcome"] == "finished"
    checkpoint = Path(trained["run"]) / "epoch_001.pt"
    opened = open_checkpoint(checkpoint)
    assert list(opened.meta.classes.names) == NAMES
    assert list(opened.meta.classes.colors) == COLORS
    assert opened.state["classifier.4.weight"].shape[0] == len(NAMES)

    scores = answer("evaluate", checkpoint, "--data", orchard, "--split", "val", "--masks", tmp_path / "masks")
    assert [entry["name"] for entry in scores["classes"]] == NAMES
    assert len(scores["confusion"]) == len(NAMES)
    assert all(palette_of(mask) == own_palette for mask in (tmp_path / "masks").iterdir())

    photo = orchard / "images" / "tree_0.jpg"
    segmented = answer("segment", photo, "--checkpoint", checkpoint, "--out", tmp_path / "out")["photos"][0]
    assert {entry["name"] for entry in segmented["classes"]} <= set(NAMES)
    assert palette_of(Path(segmented["mask"])) == own_palette

    app = AppTest.from_file(str(PROJECT_ROOT / "streamlit_app.py"), default_timeout=60).run()
    app.switch_page("pages/segment.py").run()
    app.segmented_control(key="photo_source").set_value("Sample").run()
    assert not app.exception
    found = {entry["name"] for entry in segmented["classes"]}
    html = " ".join(element.proto.body for element in app.get("html"))
    assert any(name in html and COLORS[NAMES.index(name)] in html for name in found)


def test_what_cannot_be_trained_on_can_be_once_it_is_repaired(tmp_path: Path, answer: Callable[..., Any]) -> None:
    patient = Patient(tmp_path / "VOC2012")
    for fault in FAULTS:
        fault.plant_in(patient)
    assert len(answer("doctor", patient.root)["counts"]) >= len({fault.kind for fault in FAULTS})
    with pytest.raises(AssertionError, match="missing"):
        train(patient.root)
    repaired = answer("doctor", patient.root, "--repair", tmp_path / "copy")["repaired"]
    assert repaired["images"] > 30
    # Meant, or for want of photos; the repair keeps lists that somebody chose.
    may_stay = {"empty mask", "class missing in val", "class only in val", "few validation photos", "similar photo"}
    assert set(answer("doctor", repaired["data"])["counts"]) <= may_stay
    assert train(tmp_path / "copy")["outcome"] == "finished"
