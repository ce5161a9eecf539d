"""A file from elsewhere: its weights found under any wrapping and any prefix, and their architecture told.

What is no weight, or belongs to no part of the model, is dropped and listed; `fitting` then sees to it that the rest is
a whole model.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from core.classes import Classes
from core.errors import CheckpointError
from core.model.checkpoint.fitting import AUX, KeyLists, Notes, are, default_stride, fitted, in_fp32, shown, text
from core.model.checkpoint.pickled import AVERAGED, WRAPPINGS, printable
from core.model.checkpoint.recognition import (
    Dialect,
    architecture_of,
    dialect_of,
    is_deeplab,
    name_other,
    prefixes_of,
    torchvision_name,
    without_known_prefixes,
)
from core.model.checkpoint.stated import AVERAGED as EMA
from core.model.checkpoint.stated import NOTHING, RAW, Given
from core.voc import CLASS_NAMES, VOID
from core.wording import count

AVERAGED_PART = re.compile(r"(^|[._])(ema|averaged?|swa)[._]")
AVERAGED_COUNT = "n_averaged"
"""That of torch.optim.swa_utils.AveragedModel."""
SEPARABLE = re.compile(r"classifier\.0\.convs\.[123]\.0\.(body\.)?[01]\.weight")
OF_THE_MODEL = ("backbone.", "classifier.", AUX)
MAX_DEPTH = 4
IMAGE_SIZE = 520
"""Photo size, in px, assumed for files that do not tell: that of torchvision's segmentation weights."""


class OtherClassesError(CheckpointError):
    """A model has more or fewer classes than names were given."""


@dataclass(frozen=True)
class Mended:
    """A whole DeepLabV3 in fp32 under torchvision's names, and what was found and done on the way to it.

    `classes` is None where neither the file nor a person names them; `dialect` is None for torchvision's own names.
    """

    state: dict[str, Tensor]
    architecture: str
    num_classes: int
    classes: Classes | None
    dialect: Dialect | None
    has_aux_head: bool
    problems: tuple[str, ...]
    repairs: tuple[str, ...]
    keys: KeyLists

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names; numbers where nobody gives any."""
        return self.classes.names if self.classes else tuple(f"class {index}" for index in range(self.num_classes))

    @property
    def output_stride(self) -> int:
        """The output stride that the program it comes from chooses by itself."""
        return (self.dialect and self.dialect.output_stride) or default_stride(self.architecture)

    @property
    def image_size(self) -> int:
        """The photo size, in px, of the program it comes from."""
        return (self.dialect and self.dialect.image_size) or IMAGE_SIZE


def mend(path: Path, document: dict[Any, Any], classes: Classes | None = None, given: Given = NOTHING) -> Mended:
    """Return the model in a file; what is none, or not a whole one, raises `CheckpointError`.

    Args:
        path: the file, for the sentence with which it is refused.
        document: what it holds.
        classes: the classes of which the file itself says that they are the model's.
        given: what a person says of it.
    """
    notes = Notes()
    state = _tensors(_unwrapped(document, notes, given.weights), notes)
    _refuse_what_is_no_weights(path, document, state)
    dialect, state = _translated(state, notes)
    state = _without_prefix(path, state, notes, given.weights)
    _check_kind(path, notes, given.weights)
    architecture = _recognize(path, state, dialect)
    num_classes = _count_classes(path, state)
    state, has_aux_head = fitted(path, state, architecture, num_classes, notes)
    return Mended(
        state=in_fp32(state, notes, is_exported=classes is not None),
        architecture=architecture,
        num_classes=num_classes,
        classes=_named(path, num_classes, classes, given.classes, notes),
        dialect=dialect,
        has_aux_head=has_aux_head,
        problems=tuple(notes.problems),
        repairs=tuple(notes.repairs),
        keys=KeyLists(missing=tuple(notes.missing), dropped=tuple(notes.dropped)),
    )


# --- what is around the weights -------------------------------------------------------------------------------------


def _unwrapped(document: dict[Any, Any], notes: Notes, weights: str | None) -> dict[Any, Any]:
    """Take the weights out of whatever holds them, as often as it takes; of two kinds those that are wanted."""
    for _ in range(MAX_DEPTH):
        name = _wrapping_of(document, weights)
        if name is None:
            break
        notes.is_averaged |= name in AVERAGED
        if other := next((key for key in AVERAGED if key != name and isinstance(document.get(key), dict)), None):
            notes.add(
                f"averaged weights lie in '{other}' beside them", "the others are taken; --weights ema takes those"
            )
        others = sorted(text(key) for key in document if key != name)
        averaged = " (averaged weights)" if name in AVERAGED else ""
        problem = f"the weights{averaged} are wrapped in '{name}'"
        notes.add(
            problem + (f" beside {', '.join(others)}" if others else ""), f"'{name}' is unwrapped and the rest dropped"
        )
        notes.dropped += others
        document = document[name]
    return document


def _wrapping_of(document: dict[Any, Any], weights: str | None) -> str | None:
    """Return the name of the dict that holds the weights; None where they lie open, or are nowhere."""
    dicts = [name for name, value in document.items() if isinstance(name, str) and isinstance(value, dict)]
    usual = (*AVERAGED, *WRAPPINGS) if weights == EMA else (*WRAPPINGS, *AVERAGED)
    known = next((name for name in usual if name in dicts), None)
    if known or any(isinstance(value, Tensor) for value in document.values()):
        return known
    with_weights = [name for name in dicts if any(isinstance(value, Tensor) for value in document[name].values())]
    return with_weights[0] if len(with_weights) == 1 else None


def _tensors(document: dict[Any, Any], notes: Notes) -> dict[str, Tensor]:
    state = {
        key: value.detach() for key, value in document.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    others = [text(key) for key in document if not (isinstance(key, str) and key in state)]
    if others:
        notes.add(f"beside the weights it holds {', '.join(others)}", "what is no tensor is dropped")
        notes.dropped += others
    return state


def _check_kind(path: Path, notes: Notes, weights: str | None) -> None:
    """Refuse a file in which the kind of weights that a person wants is not."""
    if weights == EMA and not notes.is_averaged:
        raise CheckpointError(f"{path} holds no averaged weights; open it without --weights ema.")
    if weights == RAW and notes.is_averaged:
        raise CheckpointError(f"{path} holds averaged weights only; open it without --weights raw.")


def _refuse_what_is_no_weights(path: Path, document: dict[Any, Any], state: dict[str, Tensor]) -> None:
    """Refuse a file without weights."""
    if state or not document:
        return
    if _holds_optimizer(document):
        raise CheckpointError(
            f"{path} holds an optimizer's state and no weights; take the file of the same training that has the model."
        )
    first = ", ".join(text(key) for key in list(document)[:4])
    raise CheckpointError(f"{path} holds no weights (but {first}); name the file that has the model.")


def _holds_optimizer(document: dict[Any, Any], depth: int = 2) -> bool:
    if "param_groups" in document and "state" in document:
        return True
    inner = [value for value in document.values() if isinstance(value, dict)]
    inner += [v for value in document.values() if isinstance(value, list) for v in value if isinstance(v, dict)]
    return depth > 0 and any(_holds_optimizer(value, depth - 1) for value in inner)


def _translated(state: dict[str, Tensor], notes: Notes) -> tuple[Dialect | None, dict[str, Tensor]]:
    """Return the weights under torchvision's names where another program's are known, and that program's dialect."""
    found = dialect_of(state)
    if found is None:
        return None, state
    dialect, prefix = found
    named = {key: torchvision_name(key, dialect, prefix) for key in state}
    notes.add(f"its weights are named as in {dialect.name}", "they get torchvision's names")
    if dropped := [key for key, name in named.items() if name is None]:
        notes.add(f"{shown(dropped)} {are(dropped)} no part of the model", "dropped: it serves another purpose")
        notes.dropped += dropped
    return dialect, {name: state[key] for key, name in named.items() if name is not None}


def _of_one_kind(prefixes: list[str], notes: Notes, weights: str | None) -> list[str]:
    """Of weights and their averages, below a prefix each, return the prefix of those that are wanted."""
    averaged = [prefix for prefix in prefixes if AVERAGED_PART.search(prefix)]
    if len(prefixes) == 2 and len(averaged) == 1:
        if weights is None:
            notes.add(
                f"averaged weights lie below '{printable(averaged[0])}' beside them",
                "the others are taken; --weights ema takes those",
            )
        prefixes = averaged if weights == EMA else [prefix for prefix in prefixes if prefix not in averaged]
    notes.is_averaged |= prefixes == averaged != []
    return prefixes


def _without_prefix(
    path: Path, state: dict[str, Tensor], notes: Notes, weights: str | None = None
) -> dict[str, Tensor]:
    """Take off what stands before the names of the model, and drop what does not stand below it."""
    notes.is_averaged |= AVERAGED_COUNT in state
    prefixes = _of_one_kind(prefixes_of(state), notes, weights)
    if len(prefixes) > 1:
        named = " and ".join(f"'{printable(prefix)}'" for prefix in prefixes[:3])
        raise CheckpointError(f"{path} holds several models, below {named}; save the one that is meant alone.")
    prefix = prefixes[0] if prefixes else ""
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if prefix:
        which = "every key begins" if len(own) == len(state) else "the keys of the model begin"
        notes.add(f"{which} with '{printable(prefix)}'", f"'{printable(prefix)}' is taken off")
    beside = [text(key) for key in state if not key.startswith(prefix)]
    is_deeplab_below = bool(prefixes)
    beside += [key for key in own if is_deeplab_below and not key.startswith(OF_THE_MODEL)]
    if beside:
        notes.add(
            f"{shown(beside)} {are(beside)} no part of the model",
            f"{'it is' if len(beside) == 1 else 'they are'} dropped",
        )
        notes.dropped += beside
    return {key: value for key, value in own.items() if key not in beside}


def _recognize(path: Path, state: dict[str, Tensor], dialect: Dialect | None) -> str:
    bare = without_known_prefixes(state)
    if other := name_other(state) or name_other(bare):
        raise CheckpointError(
            f"{path} is {other}; this project opens DeepLabV3 alone: train one on the same data, or open "
            "the file with the program it comes from."
        )
    if not is_deeplab(state):
        first = ", ".join(printable(key) for key in list(state)[:3]) or "none"
        raise CheckpointError(f"{path} holds no DeepLabV3 of torchvision (its first keys: {first}).")
    architecture = architecture_of(state)
    of = f" of {dialect.name}" if dialect else ""
    if architecture is None:
        raise CheckpointError(
            f"{path} holds a DeepLabV3{of} on a backbone this project does not know; it knows ResNet-50, "
            "ResNet-101 and MobileNetV3-Large."
        )
    if dialect and (separable := [key for key in state if SEPARABLE.fullmatch(key)]):
        raise CheckpointError(
            f"{path} holds a DeepLabV3{of} with separable convolutions ({shown(separable)}), which torchvision's "
            "does not have; open it with the program it comes from."
        )
    return f"{dialect.architecture}{architecture}" if dialect else architecture


def _count_classes(path: Path, state: dict[str, Tensor]) -> int:
    """Return the number of classes; VOC's where the last layer is missing, which is refused as missing later on."""
    last = next((state[key] for key in ("classifier.4.weight", "classifier.4.bias") if key in state), None)
    if last is None or not last.shape:
        return len(CLASS_NAMES)
    num_classes = last.shape[0]
    if num_classes == 1:
        raise CheckpointError(
            f"{path} answers yes or no in one channel; this project opens models with a channel for every class, the "
            "background among them."
        )
    if not 2 <= num_classes <= VOID:
        raise CheckpointError(f"{path} has {count(num_classes, 'class', 'classes')}; masks hold 2 to {VOID}.")
    return num_classes


def _named(path: Path, num_classes: int, told: Classes | None, given: Classes | None, notes: Notes) -> Classes | None:
    """Return the classes, as a person or the file names them; None where nobody does."""
    if given and len(given) != num_classes:
        raise OtherClassesError(f"{path} has {num_classes} classes, and {len(given)} names were given; name every one.")
    if known := given or (told if told and len(told) == num_classes else None):
        return known
    voc = (
        f"; {num_classes} is VOC's number: give --classes voc if they are VOC's"
        if num_classes == len(CLASS_NAMES)
        else ""
    )
    notes.add(
        f"it has {num_classes} classes without names",
        f"the classes are numbered{voc or '; give their names with --classes'}",
    )
    return None
