"""A file from elsewhere: its weights found under any wrapping and any prefix, and their architecture told.

What is no weight, or belongs to no part of the model, is dropped and listed; `core.model.fitting` then sees to it that
the rest is a whole model.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from core.errors import CheckpointError
from core.model.fitting import AUX, KeyLists, Notes, are, fitted, in_fp32, shown, text
from core.model.pickled import AVERAGED, WRAPPINGS, printable
from core.model.recognition import architecture_of, is_deeplab, name_other, prefixes_of, without_known_prefixes
from core.voc import CLASS_NAMES, VOID

OF_THE_MODEL = ("backbone.", "classifier.", AUX)
MAX_DEPTH = 4


@dataclass(frozen=True)
class Mended:
    """A whole DeepLabV3 of torchvision in fp32, and what was found and done on the way to it."""

    state: dict[str, Tensor]
    architecture: str
    class_names: tuple[str, ...]
    has_aux_head: bool
    problems: tuple[str, ...]
    repairs: tuple[str, ...]
    keys: KeyLists


def mend(path: Path, document: dict[Any, Any], class_names: tuple[str, ...] = ()) -> Mended:
    """Return the model in a file; what is none, or not a whole one, raises `CheckpointError`.

    Args:
        path: the file, for the sentence with which it is refused.
        document: what it holds.
        class_names: names for its classes, taken where their number is right; else they are VOC's 21, or numbers.
    """
    notes = Notes()
    state = _tensors(_unwrapped(document, notes), notes)
    state = _without_prefix(path, state, notes)
    architecture = _recognize(path, state)
    num_classes = _count_classes(path, state)
    class_names = _named(num_classes, class_names, notes)
    state, has_aux_head = fitted(path, state, architecture, num_classes, notes)
    return Mended(
        state=in_fp32(state, notes),
        architecture=architecture,
        class_names=class_names,
        has_aux_head=has_aux_head,
        problems=tuple(notes.problems),
        repairs=tuple(notes.repairs),
        keys=KeyLists(missing=tuple(notes.missing), dropped=tuple(notes.dropped)),
    )


# --- what is around the weights -------------------------------------------------------------------------------------


def _unwrapped(document: dict[Any, Any], notes: Notes) -> dict[Any, Any]:
    """Take the weights out of whatever holds them, as often as it takes."""
    for _ in range(MAX_DEPTH):
        name = _wrapping_of(document)
        if name is None:
            break
        others = sorted(text(key) for key in document if key != name)
        averaged = " (averaged weights)" if name in AVERAGED else ""
        problem = f"the weights{averaged} are wrapped in '{name}'"
        notes.add(
            problem + (f" beside {', '.join(others)}" if others else ""), f"'{name}' is unwrapped and the rest dropped"
        )
        notes.dropped += others
        document = document[name]
    return document


def _wrapping_of(document: dict[Any, Any]) -> str | None:
    """Return the name of the dict that holds the weights; None where they lie open, or are nowhere."""
    dicts = [name for name, value in document.items() if isinstance(name, str) and isinstance(value, dict)]
    known = next((name for name in (*WRAPPINGS, *AVERAGED) if name in dicts), None)
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


def _without_prefix(path: Path, state: dict[str, Tensor], notes: Notes) -> dict[str, Tensor]:
    """Take off what stands before the names of the model, and drop what does not stand below it."""
    prefixes = prefixes_of(state)
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


def _recognize(path: Path, state: dict[str, Tensor]) -> str:
    bare = without_known_prefixes(state)
    if other := name_other(state) or name_other(bare):
        raise CheckpointError(f"{path} is {other}; this project opens torchvision's DeepLabV3 only.")
    if not is_deeplab(state):
        first = ", ".join(printable(key) for key in list(state)[:3]) or "none"
        raise CheckpointError(f"{path} holds no DeepLabV3 of torchvision (its first keys: {first}).")
    architecture = architecture_of(state)
    if architecture is None:
        raise CheckpointError(f"{path} holds a DeepLabV3 on a backbone this project does not know.")
    return architecture


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
        raise CheckpointError(f"{path} has {num_classes} classes; masks hold 2 to {VOID}.")
    return num_classes


def _named(num_classes: int, names: tuple[str, ...], notes: Notes) -> tuple[str, ...]:
    for known in (names, CLASS_NAMES):
        if len(known) == num_classes:
            return known
    notes.add(
        f"it has {num_classes} classes without names",
        "the classes are numbered; on data with other classes its last layer would have to be trained anew",
    )
    return tuple(f"class {class_id}" for class_id in range(num_classes))
