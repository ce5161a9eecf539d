"""Segmenting one photo of VOC's size: `python -m core bench inference`.

DeepLabV3-ResNet50 at output stride 8, 520 px, a photo of 500 x 375 px, from the photo to its mask. Against eager fp32
torchvision doing the same, and against ONNX Runtime (`requirements-onnx.txt`) and OpenVINO (`pip install openvino`)
where they are installed, which resize the photo and upsample the logits as torchvision does. In turn, medians.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

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
from tests.bench._rounds import Act, median_seconds, print_figures

SIZE_PX = 520
PHOTO_SIZE = (500, 375)
NUM_CLASSES = 21
ROUNDS = 5

CHECKPOINT = os.environ.get("BENCH_CHECKPOINT", "")
"""A trained DeepLabV3-ResNet50 of VOC's classes: how many pixels bf16 keeps depends on how sure a model is."""

Segment = Callable[[Image.Image], np.ndarray]


def main() -> None:
    """Time single photos, then print them."""
    device = choose_device()
    model = steady_model()
    with tempfile.TemporaryDirectory() as folder:
        photo = drawn_photo(Path(folder))
        eager = eager_torchvision(model, device)
        ours: dict[str, Segment] = {}
        for precision in ("fp32", *(["bf16"] if choose_precision("auto", device) == "bf16" else [])):
            predictor = Predictor(model, image_size=SIZE_PX, device=device, precision=precision)
            ours[precision] = lambda photo, predictor=predictor: predictor.predict(photo).mask_HW  # type: ignore[misc]
        others = peers(model, Path(folder))
        everybody = {"torchvision_fp32": eager} | ours | others
        acts: dict[str, Act] = {name: lambda segment=segment: segment(photo) for name, segment in everybody.items()}  # type: ignore[misc]
        seconds = median_seconds(acts, ROUNDS)
        truth_HW = eager(photo)
        same = {name: float((segment(photo) == truth_HW).mean()) for name, segment in (ours | others).items()}
    figures = {f"{name}_s": value for name, value in seconds.items()}
    figures |= {f"{name}_same_pixels": share for name, share in same.items()}
    yardstick = seconds["torchvision_fp32"]
    ratios = {name: yardstick / seconds[name] for name in ours}
    ratios |= {f"{name}_over_{peer}": seconds[peer] / seconds[name] for name in ours for peer in others}
    print_figures("inference", figures, ratios)


def steady_model() -> nn.Module:
    """Return the model of `BENCH_CHECKPOINT`, else one with random weights whose classes differ."""
    torch.manual_seed(0)
    if CHECKPOINT:
        trained = build_model("deeplabv3_resnet50", NUM_CLASSES).eval()
        trained.load_state_dict(open_checkpoint(Path(CHECKPOINT)).state)
        return trained
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


def eager_torchvision(model: nn.Module, device: torch.device) -> Segment:
    """Return what segments a photo as torchvision's documentation does: eager, fp32, contiguous."""
    plain = build_model("deeplabv3_resnet50", NUM_CLASSES).to(device).eval()
    plain.load_state_dict(model.state_dict())

    def logits_of(images_N3SS: Tensor) -> Tensor:
        with torch.no_grad():
            logits_NKSS: Tensor = plain(images_N3SS.to(device))["out"]
        return logits_NKSS

    return segmenting(logits_of)


def segmenting(logits_of: Callable[[Tensor], Tensor]) -> Segment:
    """Return what resizes a photo, asks for logits, upsamples them and takes the best class of each pixel."""

    def segment(photo: Image.Image) -> np.ndarray:
        logits_NKSS = logits_of(normalize(photo_in_square(photo, SIZE_PX))[None])
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


def peers(model: nn.Module, folder: Path) -> dict[str, Segment]:
    """Return OpenVINO and ONNX Runtime on the same model, where they are installed."""
    found: dict[str, Segment] = {}
    wrapped, image_13SS = _Logits(model).eval(), torch.zeros(1, 3, SIZE_PX, SIZE_PX)
    if importlib.util.find_spec("openvino"):
        import openvino

        converted = openvino.convert_model(wrapped, example_input=image_13SS)
        core = openvino.Core()
        for kind in ("f32", *(["bf16"] if choose_precision("auto", torch.device("cpu")) == "bf16" else [])):
            compiled = core.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": kind})
            found[f"openvino_{kind}"] = segmenting(
                lambda images, compiled=compiled: torch.from_numpy(compiled([images.numpy()])[0])  # type: ignore[misc]
            )
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        import onnxruntime

        file = folder / "model.onnx"
        torch.onnx.export(wrapped, (image_13SS,), file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        found["onnxruntime_fp32"] = segmenting(
            lambda images: torch.from_numpy(session.run(None, {name: images.numpy()})[0])
        )
    return found


if __name__ == "__main__":
    main()
