"""Checkpoint files: plain tensors and JSON types, written whole or not at all, verified by reopening them.

    {"format": "atrous-checkpoint", "version": 1,
     "model":    the state dict, torchvision's keys,
     "meta":     what `CheckpointMeta` holds, as JSON types,
     "training": only in last.pt: optimizer and counters, from which a run resumes}

Files of other programs that hold torchvision's DeepLabV3 under any of the usual wrappings open too (`foreign`). What
was assumed or mended is listed in words, and no model is loaded in part.
"""

import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models.segmentation import DeepLabV3

from core.classes import VOC_CLASSES, Classes, classes_of
from core.data.geometry import GEOMETRIES, RESIZE
from core.errors import CheckpointError, ConfigError, DataError
from core.files import replacing
from core.model.architectures import SMP_PREFIX, build_model, without_weights
from core.model.checkpoint.archive import SAFETENSORS, FileContent, read_weights_file
from core.model.checkpoint.fitting import NO_KEYS, KeyLists, check_numbers, default_stride, is_finite, is_plain
from core.model.checkpoint.foreign import Mended, mend
from core.model.checkpoint.stated import MAX_IMAGE_SIZE, NOTHING, Given
from core.model.weights.pretrained import is_published
from core.voc import IMAGE_MEAN, IMAGE_STD

FORMAT = "atrous-checkpoint"
VERSION = 1

META_KEY = "atrous"
"""Key of the meta in exported files: in safetensors' metadata, in a state dict's `_metadata`."""

IMAGE_SIZE = 520
"""Photo size in px of torchvision's segmentation weights, assumed for files that do not say theirs."""

VERIFY_SIZE_PX = 65
VERIFY_TOLERANCE = 1e-4


@dataclass(frozen=True, kw_only=True)
class CheckpointMeta:
    """What a checkpoint states about itself; `scores` are fractions, `lineage` the legs and weights it comes from.

    It was written after `epoch` epochs and `step_in_epoch` steps of the next one; in mid-epoch it has no scores.
    `int8` holds what `quantization` found of the convolutions that can compute in int8, by their names, for weights of
    `int8_bits`; the first such files do not say that, and were for 7.
    """

    architecture: str
    class_names: tuple[str, ...]
    output_stride: int
    has_aux_head: bool
    image_size: int
    geometry: str = RESIZE
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
    step_in_epoch: int = 0
    int8: dict[str, list[float]] = field(default_factory=dict)
    int8_bits: int = 7

    @property
    def classes(self) -> Classes:
        """Names and colours of the classes; VOC's colours if the file has none."""
        return classes_of(self.class_names, self.class_colors)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        values = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class OpenedCheckpoint:
    """An opened file: its weights, its meta, and what was unusual and what was done about it, in words and as lists."""

    path: Path
    state: dict[str, Tensor]
    meta: CheckpointMeta
    format: str
    training: dict[str, Any] | None
    problems: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    keys: KeyLists = NO_KEYS

    def build(self) -> DeepLabV3:
        """Return a fresh model in evaluation mode with exactly these weights."""
        meta = self.meta
        try:
            with without_weights():
                model = build_model(
                    meta.architecture,
                    len(meta.class_names),
                    output_stride=meta.output_stride,
                    has_aux_head=meta.has_aux_head,
                )
        except ConfigError as error:
            raise CheckpointError(f"{self.path} does not fit this version of Atrous: {error}") from error
        try:
            model.load_state_dict(self.state, assign=True)
        except RuntimeError as error:
            reason = f"The weights in {self.path} do not fit {meta.architecture}: {first_lines(error)}"
            raise CheckpointError(reason) from error
        return model.to(memory_format=torch.channels_last).eval()


def save_checkpoint(
    path: Path, model: torch.nn.Module, meta: CheckpointMeta, training: dict[str, Any] | None = None
) -> None:
    """Write a checkpoint; `path` is replaced only once all of it is on the disk.

    A full disk, and NaN or infinity among the weights, raise `CheckpointError`.
    """
    state = model.state_dict()
    for key, value in state.items():
        if value.is_floating_point() and not is_finite(value):
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
    """Return the system's reason, which torch hides behind a RuntimeError of its zip writer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return first_lines(error)


def verify_checkpoint(path: Path, model: torch.nn.Module) -> None:
    """Reopen a file in a fresh model and compare it with the one that was saved; a difference raises `CheckpointError`.

    Weights must be equal bit for bit, since a changed one may not show in the logits; logits on a fixed image within
    `VERIFY_TOLERANCE`.
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
            f"The model returns NaN or infinity and is not kept as {path}; start a new run with a smaller "
            "learning_rate."
        )
    if not distance <= VERIFY_TOLERANCE:
        raise CheckpointError(f"{path} gives other logits than the model it was saved from (by {distance:.3g}).")


def open_checkpoint(path: Path, given: Given = NOTHING) -> OpenedCheckpoint:
    """Read a checkpoint file, ours or foreign, without running anything in it.

    `given` is what a person says about a file that does not say it itself.

    Raises:
        CheckpointError: the file is missing, damaged, pickled, of another architecture or of a newer version, holds
            numbers that training never gives, or says itself what `given` says.
        MisfitError: the weights are not a whole model; it lists them.
    """
    path = Path(path)
    content = read_weights_file(path)
    document = content.document
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} holds a {type(document).__name__}, not the weights of a model.")
    is_own = document.get("format") == FORMAT
    opened = _open_own(path, document, given) if is_own else _open_foreign(path, content, given)
    check_numbers(path, opened.state)
    return opened


def _refuse_given(path: Path, options: list[str]) -> None:
    if options:
        raise CheckpointError(f"{path} says itself what it is; open it without {', '.join(options)}.")


def _open_own(path: Path, document: dict[Any, Any], given: Given) -> OpenedCheckpoint:
    _refuse_given(path, [*given.about_the_model, *(["--weights"] if given.weights else [])])
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CheckpointError(f"{path} was written by a newer version of Atrous; update this one.")
    try:
        meta = meta_of(document["meta"])
        state = dict(document["model"])
        if not all(isinstance(value, Tensor) and is_plain(value) for value in state.values()):
            raise TypeError("its weights are not plain numbers")
    except (KeyError, TypeError, ValueError, AttributeError, DataError) as error:
        raise CheckpointError(f"{path} is not a whole checkpoint: {first_lines(error)}; save it again.") from error
    return OpenedCheckpoint(path, state, meta, f"{FORMAT} {version}", document.get("training"))


def meta_of(values: dict[str, Any]) -> CheckpointMeta:
    """Return a file's meta; wrong types and bounds raise `TypeError`, `ValueError` or `DataError`."""
    known = {declared.name for declared in fields(CheckpointMeta)}
    stated: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in known
    }
    meta = CheckpointMeta(**stated)
    texts = (meta.architecture, *meta.class_names, *meta.class_colors, *meta.lineage)
    counts = (meta.epoch or 0, meta.step_in_epoch, meta.output_stride, meta.image_size)
    numbers = (*counts, *meta.image_mean, *meta.image_std)
    if not all(isinstance(value, str) for value in texts) or not all(isinstance(n, int | float) for n in numbers):
        raise TypeError("its meta holds values of other types than it should")
    if not all(len(seen) > 2 and all(map(math.isfinite, seen)) for seen in meta.int8.values()):
        raise ValueError("its calibration for int8 is not whole")
    if not 1 <= meta.image_size <= MAX_IMAGE_SIZE:
        raise ValueError(f"its image size is {meta.image_size}")
    if meta.geometry not in GEOMETRIES:
        raise ValueError(f"its geometry is {meta.geometry!r}")
    meta.classes  # noqa: B018 - checks names and colours
    return meta


def _open_foreign(path: Path, content: FileContent, given: Given) -> OpenedCheckpoint:
    stated = _carried_meta(path, content)
    if given.classes is None and is_published(path):
        given = replace(given, classes=VOC_CLASSES)
    classes = stated.classes if stated else None
    found = mend(path, content.document, classes, replace(given, classes=None) if stated else given)
    kind = "safetensors" if content.container == SAFETENSORS else "state dict"
    names = [each.architecture.removeprefix(SMP_PREFIX) for each in (stated, found) if each]
    if stated and names[0] == names[1] and len(stated.class_names) == found.num_classes:
        _refuse_given(path, given.about_the_model)
        meta = replace(stated, has_aux_head=found.has_aux_head)
        half = any(isinstance(v, Tensor) and v.dtype == torch.half for v in content.document.values())
        kind = f"{FORMAT} as {kind}{', fp16' if half else ''}"
        return OpenedCheckpoint(path, found.state, meta, kind, None, found.problems, found.repairs, found.keys)
    assumed, problems, repairs = _assumed(found, given), list(found.problems), list(found.repairs)
    if said := _unsaid(assumed, given):
        problems.insert(0, f"it does not say {' or '.join(said)}")
        repairs.insert(0, f"{' and '.join(said.values())} are assumed")
    return OpenedCheckpoint(path, found.state, assumed, kind, None, tuple(problems), tuple(repairs), found.keys)


def _assumed(found: Mended, given: Given) -> CheckpointMeta:
    """Return the meta of a file without one: what a person gives, else the defaults of the program that wrote it."""
    classes, dialect = found.classes, found.dialect
    return CheckpointMeta(
        architecture=found.architecture,
        class_names=classes.names if classes else tuple(f"class {index}" for index in range(found.num_classes)),
        class_colors=classes.colors if classes else (),
        output_stride=given.output_stride or (dialect and dialect.output_stride) or default_stride(found.architecture),
        has_aux_head=found.has_aux_head,
        image_size=given.image_size or (dialect and dialect.image_size) or IMAGE_SIZE,
        geometry=given.geometry or RESIZE,
    )


def _unsaid(assumed: CheckpointMeta, given: Given) -> dict[str, str]:
    """Return in words what neither the file nor a person says, each with what is assumed instead."""
    size = f"{assumed.image_size} px ({assumed.geometry}) and ImageNet normalization"
    unsaid = {} if given.image_size else {"how photos were prepared": size}
    return unsaid | ({} if given.output_stride else {"its output stride": f"output stride {assumed.output_stride}"})


def _carried_meta(path: Path, content: FileContent) -> CheckpointMeta | None:
    """Return the meta that a file exported here carries beside its weights; None for other files."""
    carried: Any = getattr(content.document, "_metadata", None)
    values = carried.get(META_KEY) if isinstance(carried, dict) else None
    try:
        if content.container == SAFETENSORS:
            values = json.loads(content.metadata.get(META_KEY, "null"))
        return meta_of(values) if values else None
    except (TypeError, ValueError, AttributeError, DataError, RecursionError) as error:
        raise CheckpointError(f"The meta of {path} is damaged: {first_lines(error)}; export it again.") from error


def first_lines(error: BaseException) -> str:
    """Return the first two lines of an error's text, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
