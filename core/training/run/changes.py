"""Settings and data that changed since a run's last leg: sentences about them, or a refusal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.hashing import is_by_content
from core.errors import RunError
from core.training.run.folders import Run
from core.training.settings.config import SETTING_TYPES, TrainingConfig
from core.wording import count

FIXED = ("architecture", "optimizer", "freeze", "class_weighting")
"""Settings that last.pt depends on: its weights, the optimizer's state and the class weights."""

UNREAD = ("epochs", "init")
"""Settings that a resumed leg does not read from config.json; it gets its epochs when it is started."""

CHANGED_MEANWHILE = (
    "A validation photo or mask has changed during this leg: scores before and after do not compare, and its last "
    "evaluation is not stored. Stop and resume the run, so that the best model is chosen again."
)


def changed_settings(run: Run, before: Mapping[str, Any], config: TrainingConfig) -> list[str]:
    """Return sentences about settings that differ from those of the last leg, `before`, as last.pt has them.

    Settings that last.pt lacks had their default. A changed setting that last.pt does not fit raises `RunError`.
    """
    old, new = TrainingConfig().as_dict() | dict(before), config.as_dict()
    changed = [name for name in SETTING_TYPES if name not in UNREAD and old[name] != new[name]]
    stuck = [name for name in changed if _is_stuck(name, old[name], new[name])]
    if stuck:
        was, now = (", ".join(f"{name}={of[name]}" for name in stuck) for of in (old, new))
        raise RunError(
            f"{run.path / 'config.json'} says {now}, but the run was trained with {was}, which it keeps; put that "
            "back, or start a new run."
        )
    words = ", ".join(f"{name}={new[name]} (was {old[name]})" for name in changed)
    notes = [f"config.json was edited since the last leg; this one goes on with {words}"] if changed else []
    if run.config.epochs > config.epochs:
        more = f"config.json asks for {count(run.config.epochs, 'epoch')}, the last leg was asked for {config.epochs}"
        notes.append(f"{more}; extend the run to more")
    return notes


def _is_stuck(name: str, old: Any, new: Any) -> bool:
    """Return whether last.pt does not fit a changed setting: it lacks a head, or a parameter group."""
    if name == "backbone_lr_mult":
        return 1 in (old, new)
    return name in FIXED or (name == "aux_weight" and not (old and new))


def changed_data(before: str, renamed: Path | None, *, is_best_reset: bool) -> str:
    """Return a sentence about data that changed since the last leg, whose fingerprint was `before`.

    `renamed` is the milestone that the old best.pt became, if any; with `is_best_reset` the best model and patience
    start again.
    """
    if not is_by_content(before):
        why = "The last leg was trained before photos were compared by content, so they may have changed"
    elif is_best_reset:
        why = "The data has changed since the last leg; scores before and after do not compare"
    else:
        return "The training data has changed since the last leg; the validation data has not."
    aside = f"; the old best.pt is now {renamed.name}" if renamed else ""
    return f"{why}: the best model and patience start again{aside}."


def stretched_schedule(before: Mapping[str, Any], config: TrainingConfig) -> str | None:
    """Return a warning if this leg stretches the schedule over more epochs than the last leg planned."""
    epochs = before.get("epochs")
    if (
        not epochs
        or config.schedule == "constant"
        or config.total_schedule_epochs <= max(epochs, config.schedule_epochs)
    ):
        return None
    return (
        f"The {config.schedule} schedule was planned for {count(epochs, 'epoch')} and is now stretched over "
        f"{config.epochs}: the learning rate jumps, and scores may fall for some epochs before they rise. Nothing has "
        f"to be done; a new run with schedule_epochs={config.total_schedule_epochs} has no such jump."
    )
