"""DeepLabV3 of other programs: opened under torchvision's names, to the same logits."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.segmentation.deeplabv3 import ASPP

from core.model.architectures import build_model
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.checkpoint.stated import Given
from core.model.fast.inference import ready_to_predict
from tests.small_models import prefixed, refused

Check = Callable[[object, Path], str]
State = dict[str, Tensor]

SMP_NAMES = (("backbone.", "encoder."), ("classifier.0.", "decoder.aspp."), ("classifier.1.", "decoder.conv."),
             ("classifier.2.", "decoder.bn."), ("classifier.4.", "segmentation_head.0."))  # fmt: skip
OLD_SMP_NAMES = (SMP_NAMES[0], *((f"classifier.{n}.", f"decoder.{n}.") for n in range(3)), SMP_NAMES[-1])


def renamed(state: State, names: tuple[tuple[str, str], ...]) -> State:
    def name(key: str) -> str:
        return next((new + key.removeprefix(old) for old, new in names if key.startswith(old)), key)

    return {name(key): value for key, value in state.items()}


def filled(state: State) -> State:
    """Return weights that anybody can make again: each drawn from the number of its place."""
    for number, (key, value) in enumerate(state.items()):
        generator = torch.Generator().manual_seed(number)
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.ndim == 4:
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif key.endswith("weight"):
            value.uniform_(0.5, 1.0, generator=generator)
        elif value.is_floating_point():
            value.normal_(0, 0.1, generator=generator)
    return state


@pytest.mark.parametrize(
    ("stride", "near", "far", "mean"),
    [
        # segmentation_models_pytorch 0.6.0, DeepLabV3("resnet50", classes=3, encoder_output_stride=stride) filled as
        # above: its logits of this image at (5, 40) and (63, 95), and the mean of their absolute values.
        (8, (-0.9189, -2.9039, -0.5840), (-0.1215, -2.6032, -0.5611), 1.5287175),
        (16, (0.1442, -3.4926, -0.2423), (-0.2612, -3.3007, -1.1363), 1.4876761),
    ],
)
@pytest.mark.parametrize("names", [SMP_NAMES, OLD_SMP_NAMES], ids=["0.6", "0.3"])
def test_segmentation_models_pytorch_s_deeplabv3_gives_its_own_logits(
    tmp_path: Path, stride: int, near: tuple[float, ...], far: tuple[float, ...], mean: float, names: Any
) -> None:
    """It was refused, as DeepLabV3+ where it came from version 0.6; as torchvision's it would have answered wrongly."""
    state = filled(build_model("deeplabv3_resnet50", 3).state_dict())
    file = tmp_path / "smp.pth"
    torch.save({"state_dict": prefixed(renamed(state, names), "model.")}, file)
    opened = open_checkpoint(file, Given(output_stride=stride))
    image = torch.randn((1, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits = opened.build()(image)["out"]
        ready = ready_to_predict(opened.build(), (1, 3, 64, 96))(image)["out"]
    assert logits[0, :, 5, 40].tolist() == pytest.approx(near, abs=2e-4)
    assert logits[0, :, 63, 95].tolist() == pytest.approx(far, abs=2e-4)
    assert float(logits.abs().mean()) == pytest.approx(mean, abs=1e-4)
    assert torch.allclose(logits, ready, atol=1e-3), "folded and packed as well"
    assert opened.meta.architecture == "smp_deeplabv3_resnet50"
    assert any("named as in segmentation_models_pytorch" in problem for problem in opened.problems)


class VainF(nn.Module):
    """VainF's DeepLabV3 on a ResNet, said again: torchvision's ResNet and ASPP, and bilinear to the photo's size."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        resnet = resnet50(weights=None, replace_stride_with_dilation=[False, stride == 8, True])
        self.backbone = nn.Sequential(OrderedDict(list(resnet.named_children())[:-2]))
        rates = [12, 24, 36] if stride == 8 else [6, 12, 18]
        head = nn.Sequential(
            ASPP(2048, rates), nn.Conv2d(256, 256, 3, padding=1, bias=False), nn.BatchNorm2d(256), nn.ReLU(),
            nn.Conv2d(256, 3, 1),
        )  # fmt: skip
        self.classifier = nn.ModuleDict({"classifier": head})

    def forward(self, images_N3HW: Tensor) -> Tensor:
        logits = self.classifier["classifier"](self.backbone(images_N3HW))
        return nn.functional.interpolate(logits, size=images_N3HW.shape[-2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_vainf_s_deeplabv3_gives_its_own_logits(tmp_path: Path, stride: int, prefix: str) -> None:
    """It was "a DeepLabV3 whose head is named otherwise"; its best score is one of NumPy's numbers."""
    theirs = VainF(stride).eval()
    theirs.load_state_dict(filled(theirs.state_dict()))
    document = {"cur_itrs": 30_000, "model_state": prefixed(theirs.state_dict(), prefix), "best_score": np.float64(0.7)}
    torch.save(document, tmp_path / "best_deeplabv3_resnet50_voc_os16.pth")
    opened = open_checkpoint(tmp_path / "best_deeplabv3_resnet50_voc_os16.pth", Given(output_stride=stride))
    image = torch.randn((1, 3, 64, 48), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(opened.build()(image)["out"], theirs(image), atol=1e-4)
    assert opened.meta.image_size == 513
    if stride == 16:
        assert open_checkpoint(tmp_path / "best_deeplabv3_resnet50_voc_os16.pth").meta.output_stride == 16


def test_separable_convolutions_are_named(tmp_path: Path, one_sentence: Check) -> None:
    state = {key: torch.zeros(()).expand(value.shape) for key, value in thin_resnet().items()}
    names = renamed(state, (("classifier.0.convs.1.0.", "classifier.0.convs.1.0.body.0."),))
    torch.save({"model_state": renamed(names, (("classifier.", "classifier.classifier."),))}, tmp_path / "s.pth")
    assert "separable convolutions" in one_sentence(refused(tmp_path / "s.pth"), tmp_path / "s.pth")


def thin_resnet() -> State:
    with torch.device("meta"):
        return build_model("deeplabv3_resnet50", 3).state_dict()
