"""Writes a checkpoint for other programs: state dict, safetensors, ONNX or torch.export, each reopened and compared.

Every format gives logits_NKHW, float32, at the size of images_N3HW: RGB in [0, 1], normalised with the meta's mean and
deviation; batch, height and width are free (17 px and more). Every file carries the meta as JSON; its `geometry` says
how a photo becomes a square of `image_size` (`core.data.geometry.HOW`).

    state-dict      torchvision's keys, for load_state_dict(strict=True); the meta in its `_metadata`
    safetensors     the same keys; the meta under "atrous" in its metadata
    onnx            one file, opset 20; the meta under "atrous" in its metadata
    torch-export    for torch.export.load; the meta as the extra file "atrous.json"

The first two open here as checkpoints. With `half` they hold the weights of convolutions in fp16, which opening turns
into fp32 again. Vectors stay in fp32: they are small, and in fp16 BatchNorm's smallest variances would become 0.
"""

import importlib.util
import json
import logging
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.errors import CheckpointError, ConfigError, DataError
from core.files import refuse_existing, take_name
from core.model.checkpoint.checkpoint_file import META_KEY, OpenedCheckpoint, open_checkpoint
from core.model.checkpoint.fitting import is_finite

TOLERANCE = 1e-4
"""Largest difference of a program's logits, as a share of the largest logit: other kernels round differently."""
HALF_TOLERANCE = 0.02
"""The same for weights in fp16, which have 11 bits: a DeepLabV3 on EfficientNet-Lite0 differed by 0.005."""
COMPARED_SHAPES = ((1, 3, 65, 65), (2, 3, 97, 129))
"""Compared besides the model's photo size: a program must not have frozen batch and shape."""
EXAMPLE_SHAPE = (2, 3, 96, 128)
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Reopened = Callable[[Tensor], Tensor]
"""images_N3HW -> logits_NKHW, computed by the written file."""


@dataclass(frozen=True)
class Exported:
    """A written file: the largest difference of its logits from the checkpoint's, and how large it may be.

    Both are shares of the largest logit; `agreement` is the share of the compared pixels that keep their class.
    """

    file: Path
    format: str
    size_bytes: int
    difference: float
    tolerance: float
    agreement: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return vars(self) | {"file": str(self.file)}


def nearness(difference: float, agreement: float) -> str:
    """Return in words how much logits differ, as a share of the largest, and how many pixels keep their class."""
    if difference == 0:
        return "bit for bit the same"
    return f"{difference:.1g} of the largest away, {100 * agreement:.2f} % of the pixels keep their class"


class LogitsOnly(nn.Module):
    """A DeepLabV3 that returns a tensor, without auxiliary head, its weights contiguous."""

    def __init__(self, model: DeepLabV3) -> None:
        super().__init__()
        model.aux_classifier = None
        self.model = model.to(memory_format=torch.contiguous_format)

    def forward(self, images_N3HW: Tensor) -> Tensor:
        """Return logits_NKHW."""
        logits_NKHW: Tensor = self.model(images_N3HW)["out"]
        return logits_NKHW


def export(opened: OpenedCheckpoint, export_format: str, out: Path, *, half: bool = False) -> Exported:
    """Write a checkpoint in one of `FORMATS`; `out` exists only once its logits are known to be the checkpoint's.

    With `half`, weights of convolutions are written in fp16.

    Raises:
        ConfigError: the format does not exist, lacks its packages, or is a program and `half` is set.
        DataError: `out` exists or cannot be written.
        CheckpointError: the logits differ, or weights are too large for fp16.
    """
    write = _writer_of(export_format)
    if half and export_format in PROGRAMS:
        raise ConfigError(f"Half precision is for {' and '.join(WEIGHTS)} alone; export {export_format} without it.")
    refuse_existing(out)
    # Contiguous copies: safetensors takes no others, and torch.export warns about them.
    state = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in opened.state.items()}
    # Of the data's path, which is private, the folder's name alone.
    opened = replace(opened, state=state, meta=replace(opened.meta, data=Path(opened.meta.data).name))
    model = LogitsOnly(opened.build())
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export.") as folder:
            # Under the final name, which some formats write into the file.
            file = Path(folder) / out.name
            reopened = write(_halved(opened) if half else opened, model, file)
            difference, agreement = _compared(model, reopened, opened.meta.image_size)
            tolerance = HALF_TOLERANCE if half else TOLERANCE if export_format in PROGRAMS else 0.0
            if not difference <= tolerance:
                raise CheckpointError(
                    f"{out} would give other logits than {opened.path} (by {difference:.2g} of the largest, more than "
                    f"{tolerance:.2g}) and is not kept; try another format."
                )
            if not take_name(file, out):  # another process has written it meanwhile
                refuse_existing(out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error.strerror or error}; choose another place.") from error
    return Exported(out, export_format, out.stat().st_size, difference, tolerance, agreement)


def _writer_of(export_format: str) -> Callable[[OpenedCheckpoint, LogitsOnly, Path], Reopened]:
    if export_format not in FORMATS:
        raise ConfigError(f"There is no format '{export_format}'; choose one of {', '.join(FORMATS)}.")
    absent = [name for name in ONNX_PACKAGES if export_format == "onnx" and importlib.util.find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"The format onnx needs {', '.join(absent)}; install with: python -m pip install -r requirements-onnx.txt "
            "-c constraints.txt."
        )
    return FORMATS[export_format]


@torch.inference_mode()
def _compared(model: nn.Module, reopened: Reopened, image_size: int) -> tuple[float, float]:
    """Compare logits on fixed images: return their largest difference and the share of pixels that keep their class.

    The difference is a share of the largest logit, infinity for NaN.
    """
    worst, num_same, num_pixels = 0.0, 0, 0
    for seed, shape in enumerate(((1, 3, image_size, image_size), *COMPARED_SHAPES)):
        images_N3HW = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        logits_NKHW = model(images_N3HW)
        found_NKHW = reopened(images_N3HW)
        if found_NKHW.shape != logits_NKHW.shape or not logits_NKHW.isfinite().all():
            return float("inf"), 0.0
        distance = (found_NKHW - logits_NKHW).abs().max() / logits_NKHW.abs().max().clamp_min(1e-12)
        worst = max(worst, float(distance) if distance.isfinite() else float("inf"))
        same_NHW = found_NKHW.argmax(1) == logits_NKHW.argmax(1)
        num_same, num_pixels = num_same + int(same_NHW.sum()), num_pixels + same_NHW.numel()
    return worst, num_same / num_pixels


def _halved(opened: OpenedCheckpoint) -> OpenedCheckpoint:
    """Return the checkpoint with weights of convolutions in fp16; one beyond its range raises `CheckpointError`."""
    state = {key: value.half() if value.dim() > 1 else value for key, value in opened.state.items()}
    if too_large := [key for key, value in state.items() if value.is_floating_point() and not is_finite(value)]:
        raise CheckpointError(
            f"{too_large[0]} in {opened.path} holds a number beyond fp16's range ({torch.finfo(torch.half).max:.0f}); "
            "export it without half precision."
        )
    return replace(opened, state=state)


def _write_state_dict(opened: OpenedCheckpoint, _model: LogitsOnly, file: Path) -> Reopened:
    state = OrderedDict(opened.state)
    # load_state_dict looks up each module's entry here and ignores others.
    state._metadata = {META_KEY: opened.meta.as_dict()}  # type: ignore[attr-defined]
    torch.save(state, file)
    return _reopened_weights(opened, file)


def _write_safetensors(opened: OpenedCheckpoint, _model: LogitsOnly, file: Path) -> Reopened:
    from safetensors.torch import save

    meta = json.dumps(opened.meta.as_dict(), allow_nan=False)
    # Not `save_file`, which lets only the owner read the file.
    file.write_bytes(save(opened.state, metadata={"format": "pt", META_KEY: meta}))
    return _reopened_weights(opened, file)


def _reopened_weights(opened: OpenedCheckpoint, file: Path) -> Reopened:
    """Open the written file as a checkpoint; a weight or meta that changed raises `CheckpointError`."""
    again = open_checkpoint(file)
    changed = [
        key for key, value in opened.state.items() if not torch.equal(value.to(again.state[key]), again.state[key])
    ]
    if changed or again.meta != opened.meta:
        raise CheckpointError(
            f"{file.name} would hold other weights or another meta than {opened.path}; it is not kept."
        )
    return LogitsOnly(again.build())


FREE_SIZES = {0: "batch", 2: "height", 3: "width"}
"""The free axes of images_N3HW and of the logits, and their names in an ONNX program."""


def _write_torch_export(opened: OpenedCheckpoint, model: LogitsOnly, file: Path) -> Reopened:
    free = {"images_N3HW": dict.fromkeys(FREE_SIZES, torch.export.Dim.DYNAMIC)}
    with torch.no_grad():
        program = torch.export.export(model, (torch.zeros(EXAMPLE_SHAPE),), dynamic_shapes=free)
    meta = json.dumps(opened.meta.as_dict(), allow_nan=False)
    torch.export.save(program, file, extra_files={f"{META_KEY}.json": meta})
    again: Reopened = torch.export.load(file).module()
    return again


def _write_onnx(opened: OpenedCheckpoint, model: LogitsOnly, file: Path) -> Reopened:
    import onnxruntime

    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about its own libraries
        program = torch.onnx.export(
            model, (torch.zeros(EXAMPLE_SHAPE),), dynamo=True, verbose=False,
            dynamic_shapes={"images_N3HW": FREE_SIZES}, input_names=["images"], output_names=["logits"],
        )  # fmt: skip
    assert program is not None  # noqa: S101 - None only without dynamo
    program.model.metadata_props[META_KEY] = json.dumps(opened.meta.as_dict(), allow_nan=False)
    program.save(file, external_data=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda images_N3HW: torch.from_numpy(session.run(None, {"images": images_N3HW.numpy()})[0])


PROGRAMS = {"onnx": _write_onnx, "torch-export": _write_torch_export}
WEIGHTS = {"state-dict": _write_state_dict, "safetensors": _write_safetensors}
FORMATS = {**WEIGHTS, **PROGRAMS}
