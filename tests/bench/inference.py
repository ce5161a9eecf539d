"""Segmenting one photo of VOC's size: `python -m core bench inference`.

DeepLabV3-ResNet50 at output stride 8, 520 px, and the starter at 320 px (`light`), a photo of 500 x 375 px, from the
photo to its mask. Against eager fp32 torchvision doing the same, and against ONNX Runtime (`requirements-onnx.txt`) and
OpenVINO (`pip install openvino`) where they are installed, which resize the photo and upsample the logits as
torchvision does, on as many threads as torch. In turn, medians.
"""

import copy
import importlib.util
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from core.data.dataset import open_dataset
from core.data.demo import write_demo
from core.data.images import read_photo
from core.data.loading.transforms import normalize, photo_in_square
from core.model.architectures import build_model
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.device import choose_device, choose_precision
from core.model.predict.predictor import Predictor
from core.model.weights.starter import starter_file
from tests.bench._rounds import Act, median_seconds, print_figures

SIZE_PX = 520
PHOTO_SIZE = (500, 375)
NUM_CLASSES = 21
ROUNDS = 5
LIGHT_ROUNDS = 21

CHECKPOINT = os.environ.get("BENCH_CHECKPOINT", "")
"""A trained DeepLabV3-ResNet50 of VOC's classes: how many pixels bf16 keeps depends on how sure a model is. One that
was exported with `--int8` is timed in int8 too."""

Segment = Callable[[Image.Image], np.ndarray]


class Case(NamedTuple):
    """A model, the side of its square in pixels, and its calibration for int8, empty if it has none."""

    model: nn.Module
    size_px: int
    int8: Mapping[str, Sequence[float]]
    rounds: int


def main() -> None:
    """Time single photos, then print them."""
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        photo = drawn_photo(Path(folder))
        for prefix, case in (("", steady_case()), ("light_", starter_case())):
            of_case, ratios_of_case = measured(case, photo, Path(folder))
            figures |= {f"{prefix}{name}": value for name, value in of_case.items()}
            ratios |= {f"{prefix}{name}": value for name, value in ratios_of_case.items()}
    print_figures("inference", figures, ratios)


def measured(case: Case, photo: Image.Image, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the seconds and shares of equal pixels of a case, and how many times faster ours are than the others."""
    device = choose_device()
    eager = eager_torchvision(case.model, device, case.size_px)
    precisions = ["fp32"]
    precisions += ["bf16"] if choose_precision("auto", device) == "bf16" else []
    precisions += ["int8"] if case.int8 else []
    ours: dict[str, Segment] = {}
    for precision in precisions:
        int8 = case.int8 if precision == "int8" else None
        predictor = Predictor(case.model, image_size=case.size_px, device=device, precision=precision, int8=int8)
        ours[precision] = lambda photo, predictor=predictor: predictor.predict(photo).mask_HW  # type: ignore[misc]
    others = peers(case.model, case.size_px, folder)
    everybody = {"torchvision_fp32": eager} | ours | others
    acts: dict[str, Act] = {name: lambda segment=segment: segment(photo) for name, segment in everybody.items()}  # type: ignore[misc]
    seconds = median_seconds(acts, case.rounds)
    truth_HW = eager(photo)
    figures = {f"{name}_s": value for name, value in seconds.items()}
    figures |= {
        f"{name}_same_pixels": float((segment(photo) == truth_HW).mean()) for name, segment in (ours | others).items()
    }
    ratios = {name: seconds["torchvision_fp32"] / seconds[name] for name in ours}
    ratios |= {f"{name}_over_{peer}": seconds[peer] / seconds[name] for name in ours for peer in others}
    return figures, ratios


def steady_case() -> Case:
    """Return `steady_model` at 520 px, with its calibration."""
    int8 = open_checkpoint(Path(CHECKPOINT)).meta.int8 if CHECKPOINT else {}
    return Case(steady_model(), SIZE_PX, int8, ROUNDS)


def starter_case() -> Case:
    """Return the starter at its own size."""
    opened = open_checkpoint(starter_file())
    return Case(opened.build().eval(), opened.meta.image_size, {}, LIGHT_ROUNDS)


def steady_model() -> nn.Module:
    """Return the model of `BENCH_CHECKPOINT`, else a DeepLabV3-ResNet50 with random weights whose classes differ."""
    if CHECKPOINT:
        return open_checkpoint(Path(CHECKPOINT)).build().eval()
    torch.manual_seed(0)
    model = build_model("deeplabv3_resnet50", NUM_CLASSES).train()
    with torch.no_grad():
        for _ in range(3):  # statistics that belong to the weights
            model(torch.rand(2, 3, 128, 128))
        model.classifier[4].weight *= 20
    return model.eval()


def drawn_photo(folder: Path) -> Image.Image:
    """Return a drawn scene of VOC's usual size."""
    sample = open_dataset(write_demo(folder, num_train=2, num_val=1)).split("val")[0]
    return read_photo(sample.photo).resize(PHOTO_SIZE)


def eager_torchvision(model: nn.Module, device: torch.device, size_px: int) -> Segment:
    """Return what segments a photo as torchvision's documentation does: eager, fp32, contiguous."""
    plain = copy.deepcopy(model).to(device, memory_format=torch.contiguous_format).eval()

    def logits_of(images_N3SS: Tensor) -> Tensor:
        with torch.no_grad():
            logits_NKSS: Tensor = plain(images_N3SS.to(device))["out"]
        return logits_NKSS

    return segmenting(logits_of, size_px)


def segmenting(logits_of: Callable[[Tensor], Tensor], size_px: int) -> Segment:
    """Return what resizes a photo, asks for logits, upsamples them and takes the best class of each pixel."""

    def segment(photo: Image.Image) -> np.ndarray:
        logits_NKSS = logits_of(normalize(photo_in_square(photo, size_px))[None])
        size = (photo.height, photo.width)
        return F.interpolate(logits_NKSS, size, mode="bilinear", align_corners=False)[0].argmax(0).cpu().numpy()

    return segment


class _Logits(nn.Module):
    """A model that gives logits alone, for export."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return logits_NKHW."""
        logits: Tensor = self._model(images_NCHW)["out"]
        return logits


def peers(model: nn.Module, size_px: int, folder: Path) -> dict[str, Segment]:
    """Return OpenVINO and ONNX Runtime on the same model, where they are installed."""
    found: dict[str, Segment] = {}
    wrapped, image_13SS = _Logits(model).eval(), torch.zeros(1, 3, size_px, size_px)
    if importlib.util.find_spec("openvino"):
        import openvino

        converted = openvino.convert_model(wrapped, example_input=image_13SS)
        core, as_many = openvino.Core(), {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        for kind in ("f32", *(["bf16"] if choose_precision("auto", torch.device("cpu")) == "bf16" else [])):
            compiled = core.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": kind, **as_many})
            found[f"openvino_{kind}"] = segmenting(
                lambda images, compiled=compiled: torch.from_numpy(compiled([images.numpy()])[0]),  # type: ignore[misc]
                size_px,
            )
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        import onnxruntime

        file = folder / "model.onnx"
        torch.onnx.export(wrapped, (image_13SS,), file, dynamo=True, verbose=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        found["onnxruntime_fp32"] = segmenting(
            lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0]), size_px
        )
    return found


if __name__ == "__main__":
    main()
