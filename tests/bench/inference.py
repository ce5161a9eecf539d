"""Segmenting one photo of VOC's size: `python -m core bench inference`.

DeepLabV3-ResNet50 at output stride 8, 520 px, a photo of 500 x 375 px, from the photo to its mask. Against eager fp32
torchvision doing the same, and against ONNX Runtime and OpenVINO where they are installed (`pip install openvino
onnxruntime onnx onnxscript`), which are given the squashed image and asked for the logits alone. In turn, medians.
"""

import importlib.util
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
from core.data.transforms import photo_to_tensor
from core.model.architectures import build_model
from core.model.device import choose_device, choose_precision
from core.model.predictor import Predictor
from tests.bench._rounds import Act, median_seconds, tell

SIZE_PX = 520
PHOTO_SIZE = (500, 375)
NUM_CLASSES = 21
ROUNDS = 5


def main() -> None:
    """Time single photos, then tell."""
    device = choose_device()
    model = steady_model()
    with tempfile.TemporaryDirectory() as folder:
        photo = drawn_photo(Path(folder))
        eager = eager_torchvision(model, device)
        acts: dict[str, Act] = {"torchvision_fp32": lambda: eager(photo)}
        masks: dict[str, Callable[[], np.ndarray]] = {}
        for precision in ("fp32", *(["bf16"] if choose_precision("auto", device) == "bf16" else [])):
            predictor = Predictor(model, image_size=SIZE_PX, device=device, precision=precision)
            acts[precision] = masks[precision] = lambda predictor=predictor: predictor.predict(photo).mask_HW  # type: ignore[misc]
        acts |= peers(model, photo_to_tensor(photo, SIZE_PX)[None], Path(folder))
        seconds = median_seconds(acts, ROUNDS)
        truth_HW = eager(photo)
        figures = {f"{name}_s": value for name, value in seconds.items()}
        figures |= {f"{name}_same_pixels": float((act() == truth_HW).mean()) for name, act in masks.items()}
    yardstick = seconds["torchvision_fp32"]
    tell("inference", figures, {name: yardstick / value for name, value in seconds.items() if name in masks} | {
        f"{ours}_over_{peer}": seconds[peer] / seconds[ours] for ours in masks for peer in seconds
        if peer not in masks and peer != "torchvision_fp32"
    })  # fmt: skip


def steady_model() -> nn.Module:
    """Return a model with random weights whose classes differ clearly, as those of a trained one do."""
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


def eager_torchvision(model: nn.Module, device: torch.device) -> Callable[[Image.Image], np.ndarray]:
    """Return what segments a photo as torchvision's documentation does: eager, fp32, contiguous."""
    plain = build_model("deeplabv3_resnet50", NUM_CLASSES).to(device).eval()
    plain.load_state_dict(model.state_dict())

    def segment(photo: Image.Image) -> np.ndarray:
        with torch.no_grad():
            logits_NKSS: Tensor = plain(photo_to_tensor(photo, SIZE_PX)[None].to(device))["out"]
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


def peers(model: nn.Module, image_13SS: Tensor, folder: Path) -> dict[str, Act]:
    """Return OpenVINO and ONNX Runtime on the same model, where they are installed."""
    acts: dict[str, Act] = {}
    wrapped = _Logits(model).eval()
    if importlib.util.find_spec("openvino"):
        import openvino

        converted = openvino.convert_model(wrapped, example_input=image_13SS)
        core = openvino.Core()
        kinds = ["f32", *(["bf16"] if choose_precision("auto", torch.device("cpu")) == "bf16" else [])]
        for kind in kinds:
            compiled = core.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": kind})
            acts[f"openvino_{kind}"] = lambda compiled=compiled: compiled([image_13SS.numpy()])  # type: ignore[misc]
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnxscript"):
        import onnxruntime

        file = folder / "model.onnx"
        torch.onnx.export(wrapped, (image_13SS,), file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        acts["onnxruntime_fp32"] = lambda: session.run(None, {name: image_13SS.numpy()})
    return acts


if __name__ == "__main__":
    main()
