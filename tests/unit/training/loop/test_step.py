"""One step: its gradients whole and in parts, what memory that runs out does to it, and clipping."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.errors import RunError
from core.model.architectures import MOBILENET, build_model, split_backbone
from core.training.loop import replay
from core.training.loop.replay import Compute, Replay
from core.training.loop.step import TrainingStep
from core.training.settings.config import TrainingConfig
from core.voc import VOID

CPU = torch.device("cpu")
PRECISIONS = ("fp32", "bf16")
SMALL: dict[str, Any] = {"architecture": MOBILENET, "output_stride": 16, "image_size": 32, "precision": "fp32"}
WEIGHTS_K = torch.tensor([0.2, 1.0, 3.0])
NO_MEMORY = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"


def step_on(precision: str = "fp32", device: torch.device = CPU, **settings: Any) -> TrainingStep:
    torch.manual_seed(0)
    model = build_model(MOBILENET, 3, output_stride=16, has_aux_head=True).to(device)
    return TrainingStep(model, TrainingConfig(aux_weight=0.5, **SMALL | settings), device, precision, WEIGHTS_K)


def batch(size: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(size, 3, 32, 32, generator=generator)
    masks = torch.randint(0, 3, (size, 32, 32), generator=generator)
    masks[0] = VOID
    masks[1, :20] = VOID
    return images, masks


def freeze_batchnorm_and_dropout(step: TrainingStep) -> None:
    step.model.eval()


def fail_above(
    step: TrainingStep, photos: int, error: Callable[[], Exception] = lambda: RuntimeError(NO_MEMORY)
) -> list[int]:
    """Let memory run out in the head, once the backbone has counted its statistics; returns the sizes seen there."""
    forward, seen = step.model.classifier.forward, []

    def fails(features: Tensor) -> Tensor:
        seen.append(len(features))
        if len(features) > photos:
            raise error()
        result: Tensor = forward(features)
        return result

    step.model.classifier.forward = fails
    return seen


def gradients(step: TrainingStep, parts: int) -> dict[str, Tensor]:
    step.parts = parts
    step._gradients(*batch(), steps_done=0, where="here")
    return {key: value.grad.clone() for key, value in step.model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_add_up_to_the_gradient_of_the_whole_batch(parts: int) -> None:
    """In double precision, so that only a wrong weight of a part could tell them apart."""
    step = step_on()
    step.model.double()
    freeze_batchnorm_and_dropout(step)
    step._class_weights_K = WEIGHTS_K
    forward = step.model.backbone.forward
    step.model.backbone.forward = lambda images: forward(images.double())
    whole, in_parts = gradients(step, 1), gradients(step, parts)
    assert whole.keys() == in_parts.keys()
    assert len(whole) > 80
    largest = max(float(value.abs().max()) for value in whole.values())
    # The loss itself is computed in float32.
    assert max(float((whole[key] - in_parts[key]).abs().max()) for key in whole) < 1e-6 * max(1.0, largest)


def test_a_step_in_bf16_is_close_to_one_in_fp32() -> None:
    """Autocast once reached the loss, which upsampled the logits in bf16 and could not add fp32 to them.

    Every training in bf16 ended at its first step, unseen on machines that train in fp32.
    """
    losses = {
        precision: step_on(precision).take(*batch(), steps_done=0, learning_rate=1e-3) for precision in PRECISIONS
    }
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
    assert losses["bf16"] != losses["fp32"]


def test_frozen_stages_ready_to_predict_give_the_same_loss_and_gradients() -> None:
    """Also once other weights were loaded, as after the preflight and when a run is resumed."""
    steps = []
    for is_ahead in (False, True):
        torch.manual_seed(0)
        model = build_model(MOBILENET, 3, output_stride=16)
        stages = split_backbone(model, MOBILENET, "early")
        stages[0].requires_grad_(requires_grad=False)
        config = TrainingConfig(**SMALL, freeze="early")
        steps.append(TrainingStep(model, config, CPU, "fp32", WEIGHTS_K, stages if is_ahead else None))
        freeze_batchnorm_and_dropout(steps[-1])
    for _ in range(2):
        plain, ahead = (gradients(step, 2) for step in steps)
        assert plain.keys() == ahead.keys()
        assert not any(key.startswith("backbone.0.") for key in ahead), "the first stage is frozen"
        for key, value in plain.items():
            torch.testing.assert_close(ahead[key], value, rtol=1e-3, atol=1e-3 * float(value.abs().max()))
        other = {key: value * 1.5 if value.is_floating_point() else value for key, value in model.state_dict().items()}
        for step in steps:
            step.load_state(other, step.state())


def test_running_out_of_memory_halves_the_batch_until_it_fits_and_says_so_each_time() -> None:
    step = step_on()
    seen = fail_above(step, 2)
    step.take(*batch(), steps_done=0, learning_rate=1e-3)
    assert step.parts == 4
    assert seen == [8, 4, 2, 2, 2, 2]
    assert step.notes == [
        f"A batch of 8 does not fit in memory: continues with {parts} x {size} and accumulated gradients; "
        f"BatchNorm now sees {size} photos at a time."
        for parts, size in ((2, 4), (4, 2))
    ]
    step.take(*batch(), steps_done=1, learning_rate=1e-3)
    assert len(step.notes) == 2, "nothing is tried again that did not fit"


@pytest.mark.parametrize("error", [MemoryError, lambda: torch.OutOfMemoryError("CUDA out of memory")])
def test_a_step_that_ran_out_of_memory_is_the_step_that_was_split_from_the_start(
    error: Callable[[], Exception],
) -> None:
    """The failed attempt had moved BatchNorm's statistics and drawn dropout's numbers: both begin again."""
    split, failed = step_on(ema_decay=0.9, clip_norm=1.0), step_on(ema_decay=0.9, clip_norm=1.0)
    split.parts = 4
    fail_above(failed, 2, error)
    losses = [step.take(*batch(), steps_done=3, learning_rate=1e-2) for step in (split, failed)]
    assert losses[0] == losses[1]
    first, second = split.model.state_dict(), failed.model.state_dict()
    assert all(torch.equal(first[key], value) for key, value in second.items())


def test_an_uneven_batch_has_no_part_of_one_photo() -> None:
    """BatchNorm stops at one photo in the pooling branch, where each has one value."""
    step = step_on()
    seen = fail_above(step, 3)
    step.take(*batch(7), steps_done=0, learning_rate=1e-3)
    assert seen == [7, 4, 3, 2, 2]
    assert "3 parts of at most 3" in step.notes[-1]


def test_where_no_part_fits_training_ends_in_one_sentence() -> None:
    step = step_on()
    fail_above(step, 1)
    with pytest.raises(RunError, match=r"^Even 2 photos of 32 px .* smaller image_size\.$") as caught:
        step.take(*batch(), steps_done=0, learning_rate=1e-3)
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None, "the failed attempt's tensors are let go"


def test_without_batchnorm_in_training_a_part_may_be_one_photo() -> None:
    step = step_on()
    freeze_batchnorm_and_dropout(step)
    fail_above(step, 1)
    step.take(*batch(), steps_done=0, learning_rate=1e-3)
    assert step.parts == 8
    assert "BatchNorm" not in "".join(step.notes)


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    step = step_on()
    fail_above(step, 0, lambda: RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        step.take(*batch(), steps_done=0, learning_rate=1e-3)


def test_no_memory_for_the_optimizer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    step = step_on()

    def fails() -> None:
        raise MemoryError

    monkeypatch.setattr(step.optimizer, "step", fails)
    with pytest.raises(RunError, match="The optimizer's state does not fit"):
        step.take(*batch(), steps_done=0, learning_rate=1e-3)


def test_gradients_are_shortened_together_to_the_norm_asked_for() -> None:
    free, clipped = step_on(), step_on(clip_norm=0.01)
    for step in (free, clipped):
        step.take(*batch(), steps_done=0, learning_rate=1e-3)
    long, short = (
        torch.cat([value.grad.double().flatten() for value in step.model.parameters() if value.grad is not None])
        for step in (free, clipped)
    )
    assert long.norm() > 0.02
    assert short.norm() == pytest.approx(0.01, rel=1e-4)
    torch.testing.assert_close(short, long * (0.01 / long.norm()), rtol=1e-3, atol=1e-8)


def test_a_gradient_that_is_not_finite_ends_in_one_sentence() -> None:
    step = step_on(clip_norm=1.0)
    next(step.model.parameters()).register_hook(lambda gradient: gradient * torch.inf)
    before = copy.deepcopy(step.model.classifier.state_dict())
    with pytest.raises(RunError, match=r"gradients became (inf|nan) at step 6 .*smaller learning_rate"):
        step.take(*batch(), steps_done=5, learning_rate=1e-3)
    after = step.model.classifier.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if "weight" in key)


class StandIn:
    """In place of a CUDA graph, where there is no GPU: computes anew what a graph replays, or fails as one may."""

    fault = ""

    def __init__(self, compute: Compute, model: nn.Module, images: Tensor, masks: Tensor) -> None:
        self._compute, self._model, self.replays = compute, model, 0
        model.zero_grad()
        compute(images, masks)  # the steps that warm up move statistics
        if self.fault == "capture":
            try:
                raise RuntimeError("operation not permitted when stream is capturing\nCUDA kernel errors might be")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")

    def take(self, images: Tensor, masks: Tensor) -> float:
        self.replays += 1
        self._model.zero_grad()
        loss = float(self._compute(images, masks))
        if self.fault == "gradients":
            next(self._model.parameters()).grad.mul_(-1)  # type: ignore[union-attr]
        return loss


@pytest.mark.parametrize(
    ("fault", "note", "replays"),
    [
        ("", "Training steps are replayed as a CUDA graph", 3),
        ("gradients", "Training steps are not replayed as a CUDA graph: a replayed one had other gradients.", 0),
        ("capture", "not replayed as a CUDA graph: RuntimeError: operation not permitted when stream is capturing.", 0),
    ],
)
def test_replayed_steps_are_the_steps(fault: str, note: str, replays: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of a shape is tried; whatever comes of it, weights and statistics are those of a training without."""
    monkeypatch.setattr(replay, "GradientGraph", StandIn)
    monkeypatch.setattr(replay, "_fits", lambda _device: True)
    monkeypatch.setattr(replay, "_forget_capture", lambda _device: None)
    monkeypatch.setattr(StandIn, "fault", fault)
    usual, tried = step_on(), step_on()
    tried._replay = Replay(tried._add_gradients, tried.model)
    for number, size in enumerate([8] * 6 + [4]):
        losses = [step.take(*batch(size), steps_done=number, learning_rate=1e-2) for step in (usual, tried)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-6)
        if number == 5:
            graph = tried._replay._graph
            assert (graph.replays - 1 if isinstance(graph, StandIn) else 0) == replays
    assert tried._replay._graph is None, "another shape, which is taken as usual"
    assert len(tried.notes) == 1
    assert note in tried.notes[0]
    for name, tensor in usual.model.state_dict().items():
        torch.testing.assert_close(tried.model.state_dict()[name], tensor, msg=name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU here")
def test_a_gpu_replays_its_steps_and_survives_a_capture_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, replayed, failed = (step_on(device=torch.device("cuda")) for _ in range(3))
    usual._replay = None
    assert failed._replay
    # Nothing may wait for the GPU while its kernels are captured.
    monkeypatch.setattr(failed._replay, "_compute", lambda *inputs: failed._add_gradients(*inputs).cpu())
    for number in range(8):
        expected, *others = (
            step.take(*batch(), steps_done=number, learning_rate=1e-3) for step in (usual, replayed, failed)
        )
        assert others == pytest.approx([expected] * 2, rel=1e-3)
    assert [len(step.notes) for step in (usual, replayed, failed)] == [0, 1, 1]
    assert "Training steps are replayed as a CUDA graph" in replayed.notes[0]
    assert "Training steps are not replayed as a CUDA graph" in failed.notes[0]
