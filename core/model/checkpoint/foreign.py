"""Finds the weights in a file of another program, under any wrapping and prefix, and recognises their architecture.

What is not a weight or a part of the model is dropped and listed; `fitting` then checks that the rest is a whole model.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from core.classes import Classes
from core.errors import CheckpointError
from core.model.checkpoint.closed_files import AVERAGED, WRAPPINGS, printable
from core.model.checkpoint.fitting import AUX, KeyLists, MendingNotes, are, fitted, in_fp32, shown, text
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
"""A buffer of torch.optim.swa_utils.AveragedModel."""
SEPARABLE = re.compile(r"classifier\.0\.convs\.[123]\.0\.(body\.)?[01]\.weight")
OF_THE_MODEL = ("backbone.", "classifier.", AUX)
MAX_DEPTH = 4


class OtherClassesError(CheckpointError):
    """The number of names given is not the model's number of classes."""


@dataclass(frozen=True)
class Mended:
    """A whole DeepLabV3 in fp32 under torchvision's names; what was unusual about the file, and what was done.

    `classes` is None if neither the file nor a person names them, `dialect` if the file has torchvision's own names.
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


def mend(path: Path, document: dict[Any, Any], classes: Classes | None = None, given: Given = NOTHING) -> Mended:
    """Return the model in the document of a file; one without a whole DeepLabV3 raises `CheckpointError`.

    `classes` are those that the file itself names, `given` is what a person says about it.
    """
    notes = MendingNotes()
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


def _unwrapped(document: dict[Any, Any], notes: MendingNotes, weights: str | None) -> dict[Any, Any]:
    """Return the innermost dict with the weights; of trained and averaged ones those that are wanted."""
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
    """Return the key of the dict that holds the weights; None if they are in `document` itself, or nowhere."""
    dicts = [name for name, value in document.items() if isinstance(name, str) and isinstance(value, dict)]
    usual = (*AVERAGED, *WRAPPINGS) if weights == EMA else (*WRAPPINGS, *AVERAGED)
    known = next((name for name in usual if name in dicts), None)
    if known or any(isinstance(value, Tensor) for value in document.values()):
        return known
    with_weights = [name for name in dicts if any(isinstance(value, Tensor) for value in document[name].values())]
    return with_weights[0] if len(with_weights) == 1 else None


def _tensors(document: dict[Any, Any], notes: MendingNotes) -> dict[str, Tensor]:
    state = {
        key: value.detach() for key, value in document.items() if isinstance(key, str) and isinstance(value, Tensor)
    }
    others = [text(key) for key in document if not (isinstance(key, str) and key in state)]
    if others:
        notes.add(f"beside the weights it holds {', '.join(others)}", "what is not a tensor is dropped")
        notes.dropped += others
    return state


def _check_kind(path: Path, notes: MendingNotes, weights: str | None) -> None:
    """Refuse a file that lacks the kind of weights that a person wants."""
    if weights == EMA and not notes.is_averaged:
        raise CheckpointError(f"{path} holds no averaged weights; open it without --weights ema.")
    if weights == RAW and notes.is_averaged:
        raise CheckpointError(f"{path} holds averaged weights only; open it without --weights raw.")


def _refuse_what_is_no_weights(path: Path, document: dict[Any, Any], state: dict[str, Tensor]) -> None:
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


def _translated(state: dict[str, Tensor], notes: MendingNotes) -> tuple[Dialect | None, dict[str, Tensor]]:
    """Return the weights under torchvision's names, and the dialect of the names they had; None for torchvision's."""
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


def _of_one_kind(prefixes: list[str], notes: MendingNotes, weights: str | None) -> list[str]:
    """Return the prefix of the wanted weights where trained and averaged ones have a prefix each; else all prefixes."""
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
    path: Path, state: dict[str, Tensor], notes: MendingNotes, weights: str | None
) -> dict[str, Tensor]:
    """Remove the prefix of the model's names, and drop the weights that have another."""
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
    beside += [key for key in own if prefixes and not key.startswith(OF_THE_MODEL)]
    if beside:
        they = "it is" if len(beside) == 1 else "they are"
        notes.add(f"{shown(beside)} {are(beside)} no part of the model", f"{they} dropped")
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
    """Return the number of classes; VOC's if the last layer is missing, which `fitted` refuses."""
    last = next((state[key] for key in ("classifier.4.weight", "classifier.4.bias") if key in state), None)
    if last is None or not last.shape:
        return len(CLASS_NAMES)
    num_classes = last.shape[0]
    if num_classes == 1:
        raise CheckpointError(
            f"{path} has a single output channel, yes or no; this project opens models with a channel for every class, "
            "background included."
        )
    if not 2 <= num_classes <= VOID:
        raise CheckpointError(f"{path} has {count(num_classes, 'class', 'classes')}; masks hold 2 to {VOID}.")
    return num_classes


def _named(
    path: Path, num_classes: int, stated: Classes | None, given: Classes | None, notes: MendingNotes
) -> Classes | None:
    """Return the classes as a person or the file names them, or None."""
    if given and len(given) != num_classes:
        raise OtherClassesError(f"{path} has {num_classes} classes, and {len(given)} names were given; name every one.")
    if known := given or (stated if stated and len(stated) == num_classes else None):
        return known
    how = "give their names with --classes"
    if num_classes == len(CLASS_NAMES):
        how = f"{num_classes} is VOC's number: give --classes voc if they are VOC's"
    notes.add(f"it has {num_classes} classes without names", f"the classes are numbered; {how}")
    return None
