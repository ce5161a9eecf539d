"""What a step takes, what there is, and which errors mean that it was too little."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.classes import VOC_CLASSES
from core.free_memory import free_bytes
from core.model.architectures import ARCHITECTURES, MOBILENET, CoarseLogits, build_model, split_backbone
from core.training.loop import heap, memory
from core.training.loop.heap import KeptHeap
from core.training.loss import segmentation_loss
from core.training.settings.config import TrainingConfig

if sys.platform != "win32":
    import resource

GB = 10**9
SMALL: dict[str, Any] = {"architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32}


def really_kept(config: TrainingConfig, count: int) -> int:
    """Sum up what a real forward pass on real photos keeps."""
    model = build_model(config.architecture, len(VOC_CLASSES), output_stride=16, has_aux_head=config.aux_weight > 0)
    split_backbone(model, config.architecture, config.freeze)[0].requires_grad_(requires_grad=False)
    images = torch.randn(count, 3, config.image_size, config.image_size)
    masks = torch.randint(0, 21, (count, config.image_size, config.image_size))
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        segmentation_loss(CoarseLogits(model)(images), masks, config.aux_weight)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("settings", [{}, {"aux_weight": 0.5}, {"freeze": "backbone"}, {"freeze": "early"}])
def test_what_a_photo_takes_is_what_a_real_step_keeps(settings: dict[str, Any]) -> None:
    config = TrainingConfig(**SMALL | settings)
    predicted = memory.photo_bytes(config, len(VOC_CLASSES), "fp32")
    assert predicted == pytest.approx((really_kept(config, 4) - really_kept(config, 2)) / 2, rel=0.001)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_architecture_takes_more_than_what_is_called_the_most(architecture: str) -> None:
    """Else a batch for which the machine would be killed would count as one that surely fits."""
    stride = 16 if architecture == MOBILENET else 8
    config = TrainingConfig(architecture=architecture, output_stride=stride, image_size=32, aux_weight=0.4)
    assert not memory.surely_fits(config, 2, 2 * memory.photo_bytes(config, 255, "fp32"))


def test_half_precision_and_a_frozen_backbone_take_less() -> None:
    whole, half, frozen = (
        memory.photo_bytes(TrainingConfig(**SMALL | settings), 21, precision)
        for settings, precision in (({}, "fp32"), ({}, "bf16"), ({"freeze": "backbone"}, "fp32"))
    )
    assert 0.4 * whole < half < 0.8 * whole
    assert frozen < 0.5 * whole


@pytest.mark.parametrize(
    ("photo", "available", "size"),
    [(1, 100 * GB, 64), (GB, 33 * GB, 16), (GB, 26 * GB, 8), (GB, 6 * GB, 2), (GB, 0, 2)],
)
def test_a_fitting_batch_is_a_power_of_two_within_its_share(photo: int, available: int, size: int) -> None:
    assert memory.fitting_batch_size(photo, 0, available) == size


def test_room_is_left_for_gradients_and_moments() -> None:
    assert memory.fitting_batch_size(GB, 0, 30 * GB) == 16
    assert memory.fitting_batch_size(GB, GB, 30 * GB) == 8


def files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_a_container_s_limit_counts_where_it_is_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=8 * GB))
    assert free_bytes(tmp_path) == 8 * GB
    version_2 = files(
        tmp_path, memory__max=f"{4 * GB}\n", memory__current=f"{3 * GB}\n", memory__stat=f"anon 5\ninactive_file {GB}\n"
    )
    assert free_bytes(version_2) == 2 * GB
    assert free_bytes(files(tmp_path, memory__max="max\n")) == 8 * GB
    (tmp_path / "old" / "memory").mkdir(parents=True)
    files(
        tmp_path / "old" / "memory",
        memory__limit_in_bytes=f"{GB}\n",
        memory__usage_in_bytes=f"{2 * GB}\n",
        memory__stat=f"inactive_file 0\ntotal_inactive_file {GB // 2}\n",
    )
    assert free_bytes(tmp_path / "old") == 0, "never below nothing"


def test_a_real_refusal_of_memory_is_known_as_one_and_other_errors_are_not() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**48, dtype=torch.uint8)
    assert memory.is_out_of_memory(caught.value)
    assert memory.is_out_of_memory(MemoryError())
    assert memory.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."))
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not memory.is_out_of_memory(caught.value)
    assert not memory.is_out_of_memory(OSError("DefaultCPUAllocator"))


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is asked to keep memory")
def test_what_a_step_frees_is_kept_for_the_next() -> None:
    """Page faults tell how many pages Linux had to clear."""
    kept = KeptHeap()

    def faults_of_step() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with kept.during_step():
            for _ in range(4):
                torch.ones(16_000_000)  # more than glibc keeps by itself
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    plain = min(faults_of_step() for _ in range(2))
    with kept:
        kept.is_kept = True
        # The heap grows until it has room beside what lies in it already.
        assert min(faults_of_step() for _ in range(4)) < plain / 10


def test_what_is_kept_is_given_back_now_and_then_and_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    libc = SimpleNamespace(mallopt=lambda *given: asked.append(given), malloc_trim=lambda pad: asked.append((pad,)))
    monkeypatch.setattr(heap, "_libc", lambda: libc)
    with KeptHeap() as kept, kept.during_step():
        pass
    assert asked == [], "where memory is scarce"
    with KeptHeap() as kept:
        kept.is_kept = True
        with kept.during_step():
            assert asked == [(heap.M_MMAP_MAX, 0), (heap.M_TRIM_THRESHOLD, heap.NEVER)]
        assert (0,) not in asked
        monkeypatch.setattr(heap, "KEPT_S", -1.0)
        with kept.during_step():
            pass
        assert asked.count((0,)) == 1
        assert list(kept.keeping(iter("ab"))) == ["a", "b"]
        assert asked.count((0,)) == 4, "once for each item, and at the end of them"
    assert asked.count((0,)) == 5
