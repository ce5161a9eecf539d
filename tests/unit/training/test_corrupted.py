"""Scores on corrupted photos by a small real model: at once, and stopped on the way."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.corruptions import CELLS, CLEAN
from core.data.dataset import open_dataset
from core.jobs import StopRequestedError
from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import save_checkpoint
from core.training import corrupted
from core.training.corrupted import evaluate_corrupted
from core.training.evaluation import score_checkpoint
from tests.small_models import META


def test_an_evaluation_under_corruptions_goes_on_where_it_was_stopped(
    tiny_voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Level 0 is what `evaluate` counts; what was counted before a stop is not counted again."""
    monkeypatch.setattr(corrupted, "CELLS", CELLS[:4])
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    file, data = tmp_path / "run" / "epoch_001.pt", open_dataset(tiny_voc)
    torch.manual_seed(0)
    save_checkpoint(file, build_model(MOBILENET, 21, output_stride=16), replace(META, has_aux_head=False))

    def stop(done: int, _total: int) -> None:
        if done == 2 * 2 + 1:
            raise StopRequestedError("enough")

    with pytest.raises(StopRequestedError):
        evaluate_corrupted(file, data, "val", stop)
    (place,) = (tmp_path / "run" / "eval").glob("robustness-val-*-2")
    before = {cell: cell.stat().st_mtime_ns for cell in place.glob("*.npz")}
    assert {cell.name for cell in before} == {"clean-0.npz", "blur-1.npz"}
    calls = list[tuple[int, int]]()
    stored = evaluate_corrupted(file, data, "val", lambda *progress: calls.append(progress))
    assert calls == [(done, 8) for done in range(4, 9)]
    assert {cell: cell.stat().st_mtime_ns for cell in before} == before
    np.testing.assert_array_equal(stored.counts(CLEAN, 0), score_checkpoint(file, data, "val").counts_NKK)
    at_once = evaluate_corrupted(Path(shutil.copy(file, tmp_path)), data, "val")
    assert at_once.path.parent == tmp_path / "cache" / "robustness"
    for cell in CELLS[:4]:
        np.testing.assert_array_equal(stored.counts(*cell), at_once.counts(*cell))
