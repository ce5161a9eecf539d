"""Checkpoints: plain tensors and JSON types, written whole or not at all, verified by opening them again.

    {"format": "atrous-checkpoint", "version": 1,
     "model":    the state dict, torchvision's keys,
     "meta":     what `CheckpointMeta` holds, as JSON types,
     "training": only in last.pt: optimizer, counters; what a run needs to go on}

Files from elsewhere that hold torchvision's DeepLabV3 under any of the usual wrappings open too; what had to be
guessed or mended is told in words, and nothing is ever loaded in part.
"""

import pickle
import struct
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.classes import Classes, classes_of
from core.errors import CheckpointError
from core.files import replacing
from core.model.architectures import build_model
from core.voc import CLASS_NAMES, IMAGE_MEAN, IMAGE_STD

FORMAT = "atrous-checkpoint"
VERSION = 1

FOREIGN_IMAGE_SIZE = 520
"""Image size assumed for files that do not tell: that of torchvision's segmentation weights."""

WRAPPINGS = ("model", "state_dict", "model_state_dict", "model_state", "net")
PREFIXES = ("module.", "_orig_mod.", "model.")
VERIFY_SIZE_PX = 65
VERIFY_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class CheckpointMeta:
    """What a checkpoint knows about itself; `scores` are fractions, `lineage` the legs and weights it comes from."""

    architecture: str
    class_names: tuple[str, ...]
    output_stride: int
    has_aux_head: bool
    image_size: int
    image_mean: tuple[float, ...] = IMAGE_MEAN
    image_std: tuple[float, ...] = IMAGE_STD
    epoch: int | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    data: str = ""
    fingerprint: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    lineage: tuple[str, ...] = ()
    class_colors: tuple[str, ...] = ()

    @property
    def classes(self) -> Classes:
        """Names and colours of the classes; VOC's colours where the file tells none."""
        return classes_of(self.class_names, self.class_colors)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A file that was opened: its weights, its meta, and in words what was unusual and what was done about it."""

    path: Path
    state: dict[str, Tensor]
    meta: CheckpointMeta
    format: str
    training: dict[str, Any] | None
    problems: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    def build(self) -> DeepLabV3:
        """Return a fresh model in evaluation mode holding the weights, every one of them."""
        meta = self.meta
        with torch.device("meta"):
            model = build_model(
                meta.architecture,
                len(meta.class_names),
                output_stride=meta.output_stride,
                has_aux_head=meta.has_aux_head,
            )
        try:
            model.load_state_dict(self.state, assign=True)
        except RuntimeError as error:
            raise CheckpointError(
                f"The weights in {self.path} do not fit {meta.architecture}: {_first_lines(error)}"
            ) from error
        return model.to(memory_format=torch.channels_last).eval()


def save_checkpoint(
    path: Path, model: torch.nn.Module, meta: CheckpointMeta, training: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint, replacing `path` only once all of it is on the disk.

    A full disk raises `CheckpointError`, and so do weights that are no numbers: nothing good comes from them any more.
    """
    state = model.state_dict()
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(
                f"The weights hold NaN or infinity (in {key}) and are not saved; start a new run with a smaller "
                f"learning_rate: {path} is as it was."
            )
    document = {"format": FORMAT, "version": VERSION, "model": state, "meta": meta.as_dict()}
    if training is not None:
        document["training"] = training
    try:
        with replacing(path) as file:
            torch.save(document, file)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(
            f"Cannot write {path} ({_why_not_written(error)}); the file there before is untouched: make room and go on."
        ) from error


def _why_not_written(error: BaseException) -> str:
    """Tell why; torch reports a failed write to a file object as a RuntimeError of its zip writer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return _first_lines(error)


def verify_checkpoint(path: Path, model: torch.nn.Module) -> None:
    """Reopen a file in a fresh model and compare every weight, and the logits on a fixed image.

    Weights are compared bit by bit: one that changed can hide in the logits. A difference raises `CheckpointError`.
    """
    device = next(model.parameters()).device
    reopened = open_checkpoint(path).build().to(device)
    saved = reopened.state_dict()
    for key, value in model.state_dict().items():
        if not torch.equal(saved[key], value):
            raise CheckpointError(f"{path} holds other weights than the model it was saved from (in {key}).")
    image = torch.randn((1, 3, VERIFY_SIZE_PX, VERIFY_SIZE_PX), generator=torch.Generator().manual_seed(0)).to(device)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits = model(image)["out"]
        distance = (logits - reopened(image)["out"]).abs().max()
    model.train(was_training)
    if not logits.isfinite().all():
        raise CheckpointError(
            f"The model answers with NaN or infinity and is not kept as {path}; start a new run with a smaller "
            "learning_rate."
        )
    if not distance <= VERIFY_TOLERANCE:
        raise CheckpointError(f"{path} gives other logits than the model it was saved from (by {distance:.3g}).")


def open_checkpoint(path: Path) -> OpenedCheckpoint:
    """Read a checkpoint file, ours or foreign, without running anything in it.

    A file that is missing, damaged, pickled, of another architecture or of a newer version raises `CheckpointError`.
    """
    path = Path(path)
    document = _read(path)
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} holds a {type(document).__name__}, not the weights of a model.")
    if document.get("format") == FORMAT:
        return _open_own(path, document)
    return _open_foreign(path, document)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head[:1] == b"\x80" and head[1:2] > b"\x02":
            raise CheckpointError(_pickled_sentence(path))  # pickle.dump: torch itself writes protocol 2
        # A zip file is mapped, so that looking at its meta does not read all of its weights.
        # Windows cannot replace a file that is mapped, and last.pt is replaced while its run goes on.
        is_mapped = head == b"PK\x03\x04" and sys.platform != "win32"
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped or None)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint {path}.") from None
    except pickle.UnpicklingError as error:
        is_pickled = "GLOBAL" in str(error)
        raise CheckpointError(_pickled_sentence(path) if is_pickled else _damaged_sentence(path)) from error
    except (IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise CheckpointError(_damaged_sentence(path)) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no PyTorch file or was cut short ({_first_lines(error)}); copy or save it again."
        ) from error


def _damaged_sentence(path: Path) -> str:
    return f"{path} is no PyTorch file or was cut short; copy or save it again."


def _pickled_sentence(path: Path) -> str:
    return (
        f"{path} holds pickled Python objects, and opening those could run code: it stays closed. Where it was made, "
        "save the weights alone: torch.save(model.state_dict(), 'weights.pt')."
    )


def _open_own(path: Path, document: dict[str, Any]) -> OpenedCheckpoint:
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CheckpointError(f"{path} was written by a newer version of Atrous; update this one.")
    known = {declared.name for declared in fields(CheckpointMeta)}
    try:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document["meta"].items()
            if name in known
        }
        meta = CheckpointMeta(**values)
        state = dict(document["model"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint: {error}; save it again.") from error
    return OpenedCheckpoint(path, state, meta, f"{FORMAT} {version}", document.get("training"))


# --- files from elsewhere -------------------------------------------------------------------------------------------


def _open_foreign(path: Path, document: dict[str, Any]) -> OpenedCheckpoint:
    problems, repairs = ["it does not say how photos were prepared, its classes or its output stride"], []
    repairs.append(f"{FOREIGN_IMAGE_SIZE} px, ImageNet normalization and output stride 8 are assumed")
    for name in WRAPPINGS:
        if isinstance(document.get(name), dict):
            others = sorted(str(key) for key in document if key != name)
            problems.append(f"the weights are wrapped in '{name}'" + (f" beside {', '.join(others)}" if others else ""))
            repairs.append(f"'{name}' is unwrapped and the rest dropped")
            document = document[name]
            break
    state = _fp32_tensors(document, problems, repairs)
    state = _without_prefixes(state, problems, repairs)
    architecture = _recognize(path, state)
    num_classes = state["classifier.4.weight"].shape[0]
    has_voc_classes = num_classes == len(CLASS_NAMES)
    if not has_voc_classes:
        problems.append(f"it has {num_classes} classes without names")
        repairs.append("the classes are numbered")
    meta = CheckpointMeta(
        architecture=architecture,
        class_names=CLASS_NAMES if has_voc_classes else tuple(f"class {index}" for index in range(num_classes)),
        output_stride=16 if "mobilenet" in architecture else 8,
        has_aux_head=any(key.startswith("aux_classifier.") for key in state),
        image_size=FOREIGN_IMAGE_SIZE,
    )
    opened = OpenedCheckpoint(path, state, meta, "state dict", None, tuple(problems), tuple(repairs))
    opened.build()
    return opened


def _fp32_tensors(document: dict[str, Any], problems: list[str], repairs: list[str]) -> dict[str, Tensor]:
    state = {str(key): value for key, value in document.items() if isinstance(value, Tensor)}
    if others := [str(key) for key in document if str(key) not in state]:
        problems.append(f"beside the weights it holds {', '.join(others)}")
        repairs.append("what is no tensor is dropped")
    if any(value.dtype in (torch.float16, torch.bfloat16, torch.float64) for value in state.values()):
        problems.append("its numbers are not in fp32")
        repairs.append("they are turned into fp32")
        state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    return state


def _without_prefixes(state: dict[str, Tensor], problems: list[str], repairs: list[str]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if state and all(key.startswith(prefix) for key in state):
            problems.append(f"every key begins with '{prefix}'")
            repairs.append(f"'{prefix}' is taken off")
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _recognize(path: Path, state: dict[str, Tensor]) -> str:
    """Tell the architecture from the names of the weights."""
    if any("low_level" in key or key.startswith(("decoder.", "classifier.project")) for key in state):
        raise CheckpointError(f"{path} is a DeepLabV3+ (it has a decoder); this project opens DeepLabV3 only.")
    if "classifier.4.weight" not in state:
        shown = ", ".join(list(state)[:3]) or "none"
        raise CheckpointError(f"{path} holds no DeepLabV3 of torchvision (its first keys: {shown}).")
    if "backbone.layer3.22.conv1.weight" in state:
        return "deeplabv3_resnet101"
    if "backbone.layer3.5.conv1.weight" in state:
        return "deeplabv3_resnet50"
    if "backbone.0.0.weight" in state:
        return "deeplabv3_mobilenet_v3_large"
    raise CheckpointError(f"{path} holds a DeepLabV3 on a backbone this project does not know.")


def _first_lines(error: BaseException, count: int = 2) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:count])[:300] or type(error).__name__
