"""Keys missing, unexpected, misshaped or dropped: listed, mended where that is harmless, and else nothing is opened."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.checkpoint.fitting import MisfitError
from tests.small_models import refused, same_logits, thin_state

Check = Callable[[object, Path], str]
State = dict[str, Tensor]


def misfit(path: Path, state: State) -> MisfitError:
    torch.save(state, path)
    error = refused(path)
    assert isinstance(error, MisfitError)
    return error


def test_missing_keys_are_counted_and_the_first_shown(tmp_path: Path, one_sentence: Check) -> None:
    state = thin_state()
    gone = [key for key in state if key.startswith("backbone.5.") and not key.endswith("num_batches_tracked")]
    error = misfit(tmp_path / "part.pt", {key: value for key, value in state.items() if key not in gone})
    assert error.keys.missing == tuple(gone)
    text = one_sentence(error, tmp_path / "part.pt")
    assert f"{len(gone)} missing ({', '.join(gone[:4])} and {len(gone) - 4} more)" in text


@pytest.mark.parametrize("gone", ["classifier.4.weight", "classifier.4.", "classifier.0.convs.0", "backbone.0.0"])
def test_whatever_is_missing_nothing_is_opened_in_part(tmp_path: Path, gone: str) -> None:
    error = misfit(tmp_path / "part.pt", {k: v for k, v in thin_state().items() if not k.startswith(gone)})
    assert error.keys.missing
    assert all(key.startswith(gone) for key in error.keys.missing)


def test_a_part_that_the_model_does_not_have_is_refused(tmp_path: Path, one_sentence: Check) -> None:
    """A model with attention added opened without it, and answered otherwise than the one that was trained."""
    more = {"backbone.1.attention.weight": torch.ones(3), "classifier.5.weight": torch.ones(3)}
    error = misfit(tmp_path / "more.pt", thin_state() | more)
    assert error.keys.unexpected == tuple(more)
    assert "2 that the model does not have (backbone.1.attention.weight" in one_sentence(error, tmp_path / "more.pt")


def test_another_shape_is_told_with_both(tmp_path: Path, one_sentence: Check) -> None:
    error = misfit(tmp_path / "shape.pt", thin_state() | {"classifier.1.weight": torch.ones(256, 256, 1, 1)})
    assert error.keys.misshaped == ("classifier.1.weight 256 x 256 x 1 x 1 instead of 256 x 256 x 3 x 3",)
    one_sentence(error, tmp_path / "shape.pt")


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(256, dtype=torch.int8),
        torch.ones(256, dtype=torch.complex64),
        torch.ones(256).to_sparse(),
        torch.empty(256, device="meta"),
        torch.ones(256).to(torch.float8_e4m3fn),
    ],
    ids=["int8", "complex", "sparse", "meta", "float8"],
)
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path: Path, value: Tensor) -> None:
    """A tensor without numbers (device meta) opens, and fails at the first photo."""
    torch.save(thin_state() | {"classifier.2.weight": value}, tmp_path / "odd.pt")
    refused(tmp_path / "odd.pt")


def test_missing_batch_counts_are_set_to_0_and_told(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    state = mobilenet.state_dict()
    counts = [key for key in state if key.endswith("num_batches_tracked")]
    torch.save({key: value for key, value in state.items() if key not in counts}, tmp_path / "old.pt")
    opened = open_checkpoint(tmp_path / "old.pt")
    assert same_logits(opened.build(), mobilenet)
    assert set(opened.keys.missing) == set(counts)
    assert any("set to 0" in repair for repair in opened.repairs)


@pytest.mark.parametrize("kind", ["of other classes", "not whole"])
def test_an_auxiliary_head_that_does_not_fit_is_dropped_and_listed(tmp_path: Path, kind: str) -> None:
    """torchvision's head replaced for two classes, its auxiliary head left at 21: load_state_dict gave up on it."""
    torch.manual_seed(0)
    model = build_model(MOBILENET, 2, output_stride=16, has_aux_head=True).eval()
    state = model.state_dict()
    if kind == "not whole":
        del state["aux_classifier.0.weight"]
    else:
        state |= {"aux_classifier.4.weight": torch.ones(21, 10, 1, 1), "aux_classifier.4.bias": torch.ones(21)}
    torch.save(state, tmp_path / "aux.pt")
    opened = open_checkpoint(tmp_path / "aux.pt")
    assert not opened.meta.has_aux_head
    assert set(opened.keys.dropped) == {key for key in state if key.startswith("aux_classifier.")}
    assert same_logits(opened.build(), model)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, one_sentence: Check) -> None:
    torch.save(thin_state() | {"classifier.4.bias": torch.tensor([0.0, float("nan"), 1.0])}, tmp_path / "nan.pt")
    assert "NaN or infinity (in classifier.4.bias)" in one_sentence(refused(tmp_path / "nan.pt"), tmp_path / "nan.pt")


@pytest.mark.parametrize(("num_classes", "says"), [(1, "a single output channel"), (300, "300 classes; masks hold")])
def test_a_class_count_that_masks_cannot_hold_is_refused(
    tmp_path: Path, num_classes: int, says: str, one_sentence: Check
) -> None:
    head = {
        "classifier.4.weight": torch.zeros(()).expand(num_classes, 256, 1, 1),
        "classifier.4.bias": torch.zeros(num_classes),
    }
    torch.save(thin_state() | head, tmp_path / "weights.pt")
    assert says in one_sentence(refused(tmp_path / "weights.pt"), tmp_path / "weights.pt")


def test_names_from_the_file_stay_on_one_line(tmp_path: Path, one_sentence: Check) -> None:
    torch.save(thin_state() | {f"backbone.\n\x1b[31m{'x' * 5000}": torch.ones(3)}, tmp_path / "odd.pt")
    text = one_sentence(refused(tmp_path / "odd.pt"), tmp_path / "odd.pt")
    assert "\x1b" not in text
    assert len(text) < 1000


# --- what is not weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_optimizer_alone_is_called_so(
    mobilenet: DeepLabV3, tmp_path: Path, wrapped: bool, one_sentence: Check
) -> None:
    """It "holds no DeepLabV3 of torchvision (its first keys: none)"."""
    optimizer = torch.optim.Adam(mobilenet.parameters()).state_dict()
    torch.save({"optimizer": optimizer, "epoch": 3} if wrapped else optimizer, tmp_path / "optimizer.pt")
    text = one_sentence(refused(tmp_path / "optimizer.pt"), tmp_path / "optimizer.pt")
    assert "holds an optimizer's state and no weights" in text


def test_a_file_without_weights_is_called_so(tmp_path: Path, one_sentence: Check) -> None:
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "none.pt")
    assert "holds no weights (but epoch, lr)" in one_sentence(refused(tmp_path / "none.pt"), tmp_path / "none.pt")


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("dtype", [torch.qint8, torch.quint8])
def test_quantised_weights_are_called_so(tmp_path: Path, dtype: torch.dtype, is_zip: bool, one_sentence: Check) -> None:
    """They were "of another shape"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, which means to drop them
        state = {"backbone.conv1.weight": torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, dtype), "epoch": 3}
        torch.save({"model": state}, tmp_path / "int8.pt", _use_new_zipfile_serialization=is_zip)
    assert "holds quantised weights" in one_sentence(refused(tmp_path / "int8.pt"), tmp_path / "int8.pt")


def test_numbers_of_eight_bits_are_not_of_another_shape(mobilenet: DeepLabV3, tmp_path: Path) -> None:
    state = mobilenet.state_dict()
    state["classifier.4.weight"] = state["classifier.4.weight"].to(torch.float8_e4m3fn)
    torch.save(state, tmp_path / "float8.pt")
    text = str(refused(tmp_path / "float8.pt"))
    assert "1 that is not plain numbers (classifier.4.weight of float8_e4m3fn" in text
    assert "another shape" not in text
