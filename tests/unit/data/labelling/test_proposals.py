"""Proposals on disk: whole, with their note, and never truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.classes import Classes, classes_of
from core.data.labelling import proposals
from core.errors import DataError

CLASSES = classes_of(("background", "cat"), ("#000000", "#cc2222"))


@dataclass(frozen=True)
class SomeSet:
    """What proposals need of a label set."""

    root: Path
    classes: Classes = CLASSES

    @property
    def photos(self) -> dict[str, Path]:
        """One photo under every name."""
        photo = self.root / "photo.png"
        Image.new("RGB", (3, 2)).save(photo)
        return dict.fromkeys(("a b", "cut", "of other classes", "of another size"), photo)


MASK_HW = np.array([[0, 1, 1], [0, 0, 1]], dtype=np.uint8)


def test_a_proposal_comes_back_with_its_note(tmp_path: Path) -> None:
    some = SomeSet(tmp_path)
    proposals.write_proposal(some, "a b", MASK_HW, {"key": "x", "checkpoint": "run/best.pt"})
    read_HW = proposals.read_proposal(some, "a b")
    assert read_HW is not None
    assert read_HW.tolist() == MASK_HW.tolist()
    assert (proposals.proposal_note(some, "a b") or {})["checkpoint"] == "run/best.pt"
    with Image.open(proposals.proposal_file(some, "a b")) as image:
        assert image.mode == "P"
        assert image.getpalette()[3:6] == [0xCC, 0x22, 0x22]
    proposals.delete_proposal(some, "a b")
    proposals.delete_proposal(some, "a b")
    assert proposals.read_proposal(some, "a b") is None
    assert proposals.proposal_note(some, "a b") is None


def test_what_cannot_be_read_is_no_proposal(tmp_path: Path) -> None:
    some = SomeSet(tmp_path)
    proposals.write_proposal(some, "cut", MASK_HW, {})
    whole = proposals.proposal_file(some, "cut").read_bytes()
    for cut in (0, 10, len(whole) - 30):
        proposals.proposal_file(some, "cut").write_bytes(whole[:cut])
        assert proposals.read_proposal(some, "cut") is None
    proposals.write_proposal(some, "of other classes", MASK_HW + 5, {})
    assert proposals.read_proposal(some, "of other classes") is None
    proposals.write_proposal(some, "of another size", MASK_HW.T, {})
    assert proposals.read_proposal(some, "of another size") is None
    Image.new("L", (3, 2)).save(proposals.proposal_file(some, "without a note"))
    assert proposals.proposal_note(some, "without a note") is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "labelling").write_text("a file in the way")
    with pytest.raises(DataError, match="cannot be made"):
        proposals.write_proposal(SomeSet(tmp_path), "a", MASK_HW, {})


def test_a_ranking_keeps_its_order(tmp_path: Path) -> None:
    some = SomeSet(tmp_path)
    assert proposals.read_ranking(some) == {}
    assert proposals.proposals_about(some) is None
    proposals.make_folder(some)
    photos = [{"file": f"{name}.jpg", "name": name, "score": 0.5, "reason": "why."} for name in "cab"]
    proposals.write_ranking(some, "hash", photos)
    assert list(proposals.read_ranking(some)) == ["c", "a", "b"]
    assert proposals.read_ranking(some)["a"] == (0.5, "why.")
    proposals.write_about(some, {"checkpoint": "starter"})
    assert (proposals.proposals_about(some) or {})["checkpoint"] == "starter"
