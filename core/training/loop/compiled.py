"""Compiled training steps on an NVIDIA GPU: tried like a GPU, once, and used where they save time."""

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from core.errors import in_words
from core.model import device_verdict
from core.model.device import device_name
from core.model.device_verdict import Verdict
from core.training.loop.loop import TrainingLoop
from core.training.loop.preflight import seconds_of_step
from core.training.loop.trial import TOLERANCES, Judged, StarterSteps, judge
from core.training.run.records import Preparing

LONG_S = 30 * 60.0
"""A training that would take longer than this on a GPU has its step compiled, if a trial is for it."""
WORTH = 2.0
"""How many times the seconds of compiling a compiled training has to save."""

COMPILING = "Trying compiled training steps"


def compile_if_worth(loop: TrainingLoop, step_seconds: float) -> Iterator[Preparing]:
    """Compile the steps of a long training on an NVIDIA GPU if a trial, made once, says that this saves time.

    `step_seconds` are those of the preflight's step, the first one on the GPU, which takes longer than the others. The
    trial compares steps of the starter, whose usual ones may be replayed as a CUDA graph or not, as came of them there.
    """
    steps_left = loop.config.epochs * loop.steps_per_epoch - loop.progress.steps_done
    if loop.device.type != "cuda" or loop.world.size > 1 or steps_left * step_seconds < LONG_S:
        return
    left_s = steps_left * seconds_of_step(loop)
    verdict = device_verdict.read(device_name(loop.device))
    if verdict is None or left_s < LONG_S:
        return
    yield Preparing(doing=COMPILING, done=0, total=1)
    if verdict.compiled_ratio is None:
        judged, seconds = compiled_trial(loop.device, loop.precision, "inductor")
        if not judged.lasting:
            loop.notes.append(f"Training steps are not compiled: in a trial, {judged.reason}")
            return
        verdict = with_compiled(verdict, judged, seconds)
        device_verdict.store(verdict)
    if not is_worth_compiling(verdict, left_s):
        return
    loop.compile_step()
    try:
        seconds_of_step(loop)
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything, and its words are kept
        loop.compile_step(None)
        loop.notes.append(f"Training steps are not compiled: the first one ended with {in_words(error)}")
    else:
        faster = f"{verdict.compiled_ratio:.2f} times as fast"
        loop.notes.append(f"Training steps are compiled: in a trial they were {faster}")


def compiled_trial(device: torch.device, precision: str, backend: str) -> tuple[Judged, float]:
    """Try compiled steps against those that are not, on one device; return also the seconds that compiling takes."""
    began_s = time.perf_counter()
    judged = judge(
        lambda: StarterSteps(device, precision, compiled_by=backend),
        lambda: StarterSteps(device, "fp32"),
        lambda: StarterSteps(device, precision),
        TOLERANCES[precision],
    )
    return judged, time.perf_counter() - began_s


def with_compiled(verdict: Verdict, judged: Judged, compile_seconds: float) -> Verdict:
    """Return a verdict that also says what compiling is worth."""
    ratio = 0.0 if judged.reason else judged.usual_seconds / judged.seconds
    return replace(verdict, compiled_ratio=ratio, compile_seconds=compile_seconds)


def is_worth_compiling(verdict: Verdict, seconds_left: float) -> bool:
    """Return whether compiled steps save `WORTH` times the seconds of compiling them in the rest of a training."""
    ratio = verdict.compiled_ratio or 0.0
    return ratio > 1 and seconds_left * (1 - 1 / ratio) > WORTH * verdict.compile_seconds
