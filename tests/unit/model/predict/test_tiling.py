"""More passes than one: tiles, mirror images, several sizes; each against what it means, and within its memory."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from core.errors import PhotoError
from core.home import PROJECT_ROOT
from core.model.predict.predictor import Predictor
from core.model.predict.tiling import averaged_logits, segment
from core.model.predict.tta import FLIP_AND_SCALES, LEAST_TILE_PX, NO_TTA, TTA
from tests.photo_files import scene
from tests.unit.model.predict.color_model import Reading

CPU = torch.device("cpu")
SIZE = 64


class Looking(nn.Module):
    """A model that sees differences: one convolution, not symmetrical, whose 21 classes alternate within a few px."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 21, 5, padding=2)

    def forward(self, images_N3SS: Tensor) -> dict[str, Tensor]:
        return {"out": 3 * self.convolution(images_N3SS)}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(Looking(), image_size=SIZE, device=CPU)


@pytest.fixture(scope="module")
def reader() -> Predictor:
    return Predictor(Reading(), image_size=SIZE, device=CPU)


def with_everything(predictor: Predictor, photo: Image.Image, passes: TTA) -> tuple[np.ndarray, ...]:
    found = segment(predictor, photo, passes, with_confidence=True, with_runner_up=True)
    assert found.confidence_HW is not None
    assert found.runner_up_HW is not None
    return found.mask_HW, found.confidence_HW, found.runner_up_HW


@pytest.mark.parametrize("passes", [NO_TTA, TTA(tile_px=500), TTA(tile_px=90)])
def test_one_tile_of_the_whole_photo_is_the_plain_prediction(predictor: Predictor, passes: TTA) -> None:
    photo = scene(90, 70)
    plain = predictor.predict(photo, with_confidence=True, with_runner_up=True)
    expected = (plain.mask_HW, plain.confidence_HW, plain.runner_up_HW)
    for found_HW, expected_HW in zip(with_everything(predictor, photo, passes), expected, strict=True):
        np.testing.assert_array_equal(found_HW, expected_HW)


@pytest.mark.parametrize("length", [64, 65, 100, 111, 112, 113, 160, 1000])
def test_tiles_cover_a_side_and_overlap_enough(length: int) -> None:
    spans = TTA(tile_px=64).spans(length)
    assert (spans[0][0], spans[-1][1]) == (0, length)
    assert all(end - start == 64 for start, end in spans)
    assert all(end - start >= 16 for (start, _), (_, end) in zip(spans[1:], spans[:-1], strict=True))
    assert len(spans) == 1 or len(spans) == -(-(length - 16) // 48)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (70, 300), (130, 64)])
def test_tiles_at_the_model_s_own_size_see_what_is_there(reader: Predictor, width: int, height: int) -> None:
    """Every tile of this model reads the photo's own pixels, so that the blend must be the photo's own colours."""
    photo = scene(width, height)
    mask_HW, confidence_HW, runner_up_HW = with_everything(reader, photo, TTA(tile_px=SIZE))
    whole = Predictor(Reading(), image_size=SIZE, device=CPU)
    tensor_3HW = torch.from_numpy(np.array(photo)).permute(2, 0, 1)
    exact_3HW = whole.logits_of(tensor_3HW[None])[0]
    order_3HW = exact_3HW.argsort(dim=0, descending=True, stable=True)
    is_clear = (exact_3HW.sort(dim=0).values.diff(dim=0) > 0.05).all(dim=0).numpy()
    assert is_clear.mean() > 0.5
    np.testing.assert_array_equal(mask_HW[is_clear], order_3HW[0].numpy()[is_clear])
    np.testing.assert_array_equal(runner_up_HW[is_clear], order_3HW[1].numpy()[is_clear])
    np.testing.assert_allclose(confidence_HW, exact_3HW.softmax(0).amax(0), atol=0.01)


def test_tiles_blend_by_their_windows(predictor: Predictor) -> None:
    """The same by brute force, with every score of the whole photo in memory."""
    photo, passes = scene(150, 110), TTA(tile_px=LEAST_TILE_PX)
    sum_KHW, weight_HW = torch.zeros(21, 110, 150), torch.zeros(110, 150)
    fade_h = torch.sin(torch.pi * (torch.arange(64) + 0.5) / 64).square()
    for top, bottom in passes.spans(110):
        for left, right in passes.spans(150):
            logits = predictor.logits([photo.crop((left, top, right, bottom))])
            enlarged_Khw = F.interpolate(logits, (64, 64), mode="bilinear", align_corners=False)[0]
            sum_KHW[:, top:bottom, left:right] += enlarged_Khw * fade_h[:, None] * fade_h
            weight_HW[top:bottom, left:right] += fade_h[:, None] * fade_h
    expected_KHW = (sum_KHW / weight_HW).softmax(0)
    mask_HW, confidence_HW, _ = with_everything(predictor, photo, passes)
    np.testing.assert_allclose(confidence_HW, expected_KHW.amax(0), atol=2e-3)  # float16 keeps three digits
    assert (mask_HW == expected_KHW.argmax(0).numpy()).mean() > 0.99


def test_the_same_photo_gives_the_same_mask(predictor: Predictor) -> None:
    passes = TTA(flip=True, scales=(0.75, 1.0), tile_px=70)
    first, second = (with_everything(predictor, scene(150, 110), passes) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("passes", [TTA(flip=True), FLIP_AND_SCALES])
def test_a_mirrored_photo_gives_the_mirrored_mask(predictor: Predictor, passes: TTA) -> None:
    photo = scene(SIZE, SIZE)
    mask_HW, confidence_HW, _ = with_everything(predictor, photo, passes)
    mirrored_HW, mirrored_confidence_HW, _ = with_everything(predictor, ImageOps.mirror(photo), passes)
    np.testing.assert_allclose(mirrored_confidence_HW[:, ::-1], confidence_HW, atol=1e-6)
    assert (mirrored_HW[:, ::-1] == mask_HW).mean() > 0.999
    plain_HW = predictor.predict(ImageOps.mirror(photo), with_confidence=True).confidence_HW
    assert plain_HW is not None
    assert np.abs(plain_HW[:, ::-1] - predictor.predict(photo, with_confidence=True).confidence_HW).max() > 1e-4


def test_averaged_are_the_probabilities(predictor: Predictor) -> None:
    photo = scene(SIZE, SIZE)
    mirrored_K = predictor.logits([ImageOps.mirror(photo)])[0].softmax(0).flip(-1)
    expected_K = (predictor.logits([photo])[0].softmax(0) + mirrored_K) / 2
    found_K = averaged_logits(predictor, photo, TTA(flip=True)).softmax(0)
    torch.testing.assert_close(found_K, expected_K, rtol=1e-4, atol=1e-6)


def test_a_certain_model_stays_certain_and_finite(reader: Predictor) -> None:
    """A probability of nothing has no logarithm: enlarged, it spoilt the pixels around it."""
    black_and_white = Image.fromarray((np.indices((SIZE, SIZE, 3)).sum(0) % 2 * 255).astype(np.uint8))
    with torch.inference_mode():
        reader._model.scale.mul_(1000)
    try:
        _, confidence_HW, _ = with_everything(reader, black_and_white.resize((200, 100)), TTA(flip=True, tile_px=64))
    finally:
        with torch.inference_mode():
            reader._model.scale.div_(1000)
    assert np.isfinite(confidence_HW).all()


@pytest.mark.parametrize(
    ("passes", "count"),
    [(NO_TTA, 1), (TTA(flip=True), 2), (FLIP_AND_SCALES, 6), (TTA(tile_px=1024), 20), (TTA(True, (1.0,), 1024), 40)],
)
def test_the_cost_is_told_in_forward_passes(passes: TTA, count: int) -> None:
    assert passes.num_passes(4000, 3000) == count


@pytest.mark.parametrize("count", [TTA(), TTA(flip=True, scales=(0.5, 1.0)), TTA(tile_px=64, flip=True)])
def test_the_count_is_what_is_run(predictor: Predictor, count: TTA, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    logits_of: Callable[[Tensor], Tensor] = predictor.logits_of
    monkeypatch.setattr(predictor, "logits_of", lambda photos: ran.append(len(photos)) or logits_of(photos))
    segment(predictor, scene(150, 110), count)
    assert sum(ran) == count.num_passes(150, 110)


@pytest.mark.parametrize("wrong", [{"scales": ()}, {"scales": (float("nan"),)}, {"scales": (9.0,)}, {"tile_px": 9}])
def test_passes_out_of_bounds_are_told(wrong: dict[str, object]) -> None:
    with pytest.raises(PhotoError, match="give"):
        TTA(**wrong)  # type: ignore[arg-type]


MEMORY_TEST = """
import resource, sys
import torch
from PIL import Image
from core.model.predict.tta import TTA
from core.model.predict.predictor import Predictor
from core.model.predict.tiling import segment
from tests.photo_files import scene
from tests.unit.model.predict.color_model import Reading

class Many(Reading):
    def forward(self, images):
        return {"out": super().forward(images)["out"].repeat(1, 7, 1, 1)}

torch.set_num_threads(1)
predictor = Predictor(Many(), image_size=256, device=torch.device("cpu"))
segment(predictor, scene(400, 300), TTA(tile_px=256), with_confidence=True)
photo = scene().resize((4000, 3000))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
segment(predictor, photo, TTA(tile_px=512), with_confidence=True, with_runner_up=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read with `resource`")
def test_tiles_of_a_large_photo_stay_within_their_memory() -> None:
    """All scores of a 12-megapixel photo are a gigabyte; its mask, confidence and runner-up are 72 MB of this."""
    ended = subprocess.run(
        [sys.executable, "-c", MEMORY_TEST], capture_output=True, text=True, cwd=PROJECT_ROOT, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 200_000
