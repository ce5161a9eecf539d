"""Compares the weights of a file with those of the model: each must be there, in its shape.

Three differences do no harm and are mended: an auxiliary head that does not fit is dropped (only training uses it), a
missing BatchNorm count of batches becomes 0 (nothing reads it), a classifier left on the backbone is dropped. Any other
raises `MisfitError`: a model that is loaded in part answers wrongly.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import torch
from torch import Tensor

from core.errors import CheckpointError
from core.model.architectures import MOBILENET, build_model, without_weights
from core.model.checkpoint.closed_files import printable

AUX = "aux_classifier."
BATCH_COUNT = ".num_batches_tracked"
VARIANCE = ".running_var"
NEVER_READ = ("backbone.fc.",)
"""Beginnings of keys that nothing reads: a classifier of whole pictures left on the backbone."""

PLAIN_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32)
SHOWN_KEYS = 4
INSTEAD = " instead of "

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class KeyLists:
    """Names of weights that are missing (and set to 0), not the model's, of another shape, or dropped."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshaped: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, list[str]]:
        """Return it as JSON types."""
        return {name: list(keys) for name, keys in vars(self).items()}


NO_KEYS = KeyLists()


class MisfitError(CheckpointError):
    """The weights are not a whole model; `keys` lists every fault, the text the first of each kind."""

    def __init__(self, text: str, keys: KeyLists) -> None:
        super().__init__(text)
        self.keys = keys


@dataclass
class MendingNotes:
    """What is unusual about a file, what was done about it, and which keys were dropped or set to 0."""

    problems: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    is_averaged: bool = False

    def add(self, problem: str, repair: str) -> None:
        """Note what is unusual, and what was done about it."""
        self.problems.append(problem)
        self.repairs.append(repair)


def default_stride(architecture: str) -> int:
    """Return torchvision's output stride of an architecture."""
    return 16 if architecture == MOBILENET else 8


@functools.lru_cache(maxsize=8)
def wanted_shapes(architecture: str, num_classes: int) -> Shapes:
    """Return the shape of every weight of a model with an auxiliary head, without computing any."""
    with without_weights():
        stride = default_stride(architecture)
        model = build_model(architecture, num_classes, output_stride=stride, has_aux_head=True)
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def fitted(
    path: Path, state: dict[str, Tensor], architecture: str, num_classes: int, notes: MendingNotes
) -> tuple[dict[str, Tensor], bool]:
    """Return the weights with exactly the model's keys and shapes, and whether they include an auxiliary head."""
    wanted = wanted_shapes(architecture, num_classes)
    state = _without_unread(state, wanted, notes)
    state = _with_batch_counts(state, wanted, notes)
    state, has_aux_head = _without_misfit_aux_head(state, wanted, notes)
    expected = {key: shape for key, shape in wanted.items() if has_aux_head or not key.startswith(AUX)}
    found = KeyLists(
        missing=tuple(key for key in expected if key not in state),
        unexpected=tuple(text(key) for key in state if key not in expected),
        misshaped=_misshaped(state, expected),
        dropped=tuple(notes.dropped),
    )
    if found.missing or found.unexpected or found.misshaped:
        _refuse(path, architecture, found)
    return {key: state[key] for key in expected}, has_aux_head


def _without_unread(state: dict[str, Tensor], wanted: Shapes, notes: MendingNotes) -> dict[str, Tensor]:
    unread = [key for key in state if key.startswith(NEVER_READ) and key not in wanted]
    if unread:
        notes.add(f"the backbone still has its classifier of whole pictures ({shown(unread)})", "it is dropped")
        notes.dropped += unread
    return {key: value for key, value in state.items() if key not in unread}


def _with_batch_counts(state: dict[str, Tensor], wanted: Shapes, notes: MendingNotes) -> dict[str, Tensor]:
    """Set missing BatchNorm counts of batches to 0: files from before 2018 have none."""
    has_aux_head = any(key.startswith(AUX) for key in state)
    counts = [key for key in wanted if key.endswith(BATCH_COUNT) and key not in state]
    counts = [key for key in counts if has_aux_head or not key.startswith(AUX)]
    if counts:
        notes.add(f"{shown(counts)} {are(counts)} missing", "those counts are set to 0; nothing reads them")
        notes.missing += counts
    return state | {key: torch.zeros((), dtype=torch.int64) for key in counts}


def _without_misfit_aux_head(
    state: dict[str, Tensor], wanted: Shapes, notes: MendingNotes
) -> tuple[dict[str, Tensor], bool]:
    aux = {key: value for key, value in state.items() if key.startswith(AUX)}
    expected = {key: shape for key, shape in wanted.items() if key.startswith(AUX)}
    if not aux:
        return state, False
    if aux.keys() == expected.keys() and not _misshaped(aux, expected):
        return state, True
    notes.add(
        "its auxiliary head is not whole or has other classes", "it is dropped: it serves training, not prediction"
    )
    notes.dropped += list(aux)
    notes.missing[:] = [key for key in notes.missing if not key.startswith(AUX)]
    return {key: value for key, value in state.items() if key not in aux}, False


def _misshaped(state: dict[str, Tensor], expected: Shapes) -> tuple[str, ...]:
    """Describe each weight that has another shape than the model's or is not a plain number."""
    found = []
    for key, shape in expected.items():
        value = state.get(key)
        if value is None:
            continue
        if tuple(value.shape) != shape:
            found.append(f"{key} {_shape(value.shape)}{INSTEAD}{_shape(shape)}")
        elif not is_plain(value) or not (value.is_floating_point() or key.endswith(BATCH_COUNT)):
            found.append(f"{key} of {str(value.dtype).removeprefix('torch.')}, {value.layout}, on {value.device}")
    return tuple(found)


def is_plain(value: Tensor) -> bool:
    """Return whether a tensor is dense, lies in memory and holds real numbers or counts."""
    return value.layout == torch.strided and value.device.type == "cpu" and value.dtype in PLAIN_TYPES


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or "a single number"


def _refuse(path: Path, architecture: str, found: KeyLists) -> Never:
    shapes = [each for each in found.misshaped if INSTEAD in each]
    kinds = [each for each in found.misshaped if INSTEAD not in each]
    faults = (
        (found.missing, "missing"),
        (shapes, "of another shape"),
        (kinds, f"that {are(kinds)} not plain numbers"),
        (found.unexpected, "that the model does not have"),
    )
    parts = [f"{len(keys)} {what} ({shown(keys)})" for keys, what in faults if keys]
    raise MisfitError(
        f"The weights in {path} are not a whole {architecture}: {', '.join(parts)}; they stay closed, since a "
        "model loaded in part answers wrongly: save all of it again, or open it with the program it comes from.",
        found,
    )


def in_fp32(state: dict[str, Tensor], notes: MendingNotes, *, is_exported: bool = False) -> dict[str, Tensor]:
    """Return copies in fp32 and note where the numbers were others; fp16 is usual in exported files.

    Copies, because overwriting a foreign file while it is mapped would end the process.
    """
    usual = (torch.float32, torch.float16) if is_exported else (torch.float32,)
    if any(value.is_floating_point() and value.dtype not in usual for value in state.values()):
        notes.add("its numbers are not in fp32", "they are converted to fp32")
    return {
        key: value.to(torch.float32, copy=True) if value.is_floating_point() else value.to(torch.int64, copy=True)
        for key, value in state.items()
    }


def is_finite(value: Tensor) -> bool:
    """Return whether a tensor holds no NaN and no infinity, by its extremes: ten times faster than `isfinite`."""
    return value.numel() == 0 or bool(torch.stack(value.aminmax()).isfinite().all())


def check_numbers(path: Path, state: dict[str, Tensor]) -> None:
    """Raise `CheckpointError` if weights hold NaN, infinity or a variance below 0, which training never gives.

    With a variance below 0 a model returns NaN or, once BatchNorm is folded, wrong numbers.
    """
    for key, value in state.items():
        if not is_finite(value):
            raise CheckpointError(f"The weights in {path} hold NaN or infinity (in {key}); take an earlier checkpoint.")
        if key.endswith(VARIANCE) and (value < 0).any():
            raise CheckpointError(
                f"The weights in {path} hold a variance below 0 (in {key}), so they are damaged; take an earlier "
                "checkpoint, or save them again."
            )


def shown(keys: tuple[str, ...] | list[str]) -> str:
    """Return the first few names, and how many more there are."""
    listed = ", ".join(printable(key) for key in keys[:SHOWN_KEYS])
    return listed + (f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else "")


def are(keys: list[str]) -> str:
    """Return `is` for one key, `are` for several."""
    return "is" if len(keys) == 1 else "are"


def text(key: object) -> str:
    """Return a key for a sentence; a key that is not text is named by its type, since its text may be endless."""
    return printable(key) if isinstance(key, str) else f"a key of type {type(key).__name__}"
