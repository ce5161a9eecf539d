"""What was changed since a run's last leg, in its config.json or its data: in words, or refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.hashing import is_by_content
from core.errors import RunError
from core.training.run.folders import Run
from core.training.settings.config import SETTING_TYPES, TrainingConfig
from core.wording import count

KEPT = ("architecture", "optimizer", "freeze", "class_weighting")
"""What last.pt is made of: weights, the optimizer's state for them, and the weights of the classes."""

UNREAD = ("epochs", "init")
"""What a leg that goes on does not take from config.json: its epochs are those it was asked for."""


CHANGED_MEANWHILE = (
    "A validation photo or mask has changed during this leg: scores before and after do not compare, and its last "
    "evaluation is not stored. Stop the run and resume it, and the best model begins anew."
)


def changed_settings(run: Run, before: Mapping[str, Any], config: TrainingConfig) -> list[str]:
    """Return what is to be said of settings that differ from those of the last leg, if any do.

    Args:
        run: the run, whose folder holds the config.json.
        before: the settings of the last leg, from last.pt; those that are missing had their default.
        config: the settings of the leg that begins.

    Raises:
        RunError: a setting differs with which last.pt does not fit.
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
    """Tell whether last.pt does not fit a changed setting: it lacks a head, or a group of the optimizer."""
    if name == "backbone_lr_mult":
        return 1 in (old, new)
    return name in KEPT or (name == "aux_weight" and not (old and new))


def changed_data(before: str, kept: Path | None, *, is_best_reset: bool) -> str:
    """Return what is known of how the data has changed since the last leg, and what follows from it.

    Args:
        before: the fingerprint of all pairs in the last leg, which is not today's.
        kept: the milestone that the best.pt before became, if any.
        is_best_reset: whether the best model begins anew.
    """
    if not is_by_content(before):
        why = "The last leg was trained before photos were compared by content, and nobody knows whether they changed"
    elif is_best_reset:
        why = "The data has changed since the last leg; scores before and after do not compare"
    else:
        return "The training data has changed since the last leg; the validation data has not."
    aside = f"; the best.pt before is now {kept.name}" if kept else ""
    return f"{why}: the best model and patience begin anew{aside}."


def stretched_schedule(before: Mapping[str, Any], config: TrainingConfig) -> str | None:
    """Return that the learning rate jumps where more epochs than the last leg's settings planned stretch a schedule."""
    epochs = before.get("epochs")
    if (
        not epochs
        or config.schedule == "constant"
        or config.total_schedule_epochs <= max(epochs, config.schedule_epochs)
    ):
        return None
    return (
        f"The {config.schedule} schedule was planned for {count(epochs, 'epoch')} and is now stretched over "
        f"{config.epochs}: the learning rate jumps."
    )
