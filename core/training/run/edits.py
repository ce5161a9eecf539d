"""What a person does with a run that is there: call it otherwise, note something about it, delete it."""

import secrets
import sys
from contextlib import nullcontext
from dataclasses import replace

from core.errors import RunError
from core.files import delete_folder, entries, write_json
from core.jobs import hold, is_held
from core.training.run import machine
from core.training.run.folders import DELETING, SCHEMA, Run, check_name, open_run

MAX_NOTE = 10_000


def rename(run: Run, name: str) -> Run:
    """Call a run otherwise, and return it anew; its folder keeps the name it was made with. A bad name: `RunError`."""
    check_name(name)
    return _edit(run, name=name)


def set_note(run: Run, text: str) -> Run:
    """Keep a text of up to 10,000 characters about a run, and return the run anew; a longer one raises `RunError`."""
    if len(text) > MAX_NOTE:
        raise RunError(f"The note on {run.name} has {len(text):,} characters; shorten it to {MAX_NOTE:,}.")
    return _edit(run, note=text)


def _edit(run: Run, *, name: str | None = None, note: str | None = None) -> Run:
    """Change what a person says about a run; what somebody else has written about it meanwhile stays."""
    with machine.editing():
        now = open_run(run.path)
        edited = replace(now, name=now.name if name is None else name, note=now.note if note is None else note)
        try:
            write_json(run.path / "about.json", {"schema": SCHEMA, "name": edited.name, "note": edited.note})
        except OSError as error:
            raise RunError(f"Cannot write {run.path / 'about.json'}: {error.strerror}; nothing was changed.") from error
        return edited  # not read again: somebody may delete the run at this moment


def delete(run: Run) -> None:
    """Delete a run with its checkpoints for good; one that is being trained or evaluated raises `RunError`.

    The folder is renamed first: whatever interrupts the rest, no half run is ever seen. A run that somebody else has
    deleted meanwhile is as good.
    """
    leaving = run.path.with_name(f"{DELETING}{run.path.name}-{secrets.token_hex(4)}")
    try:
        with machine.starting():
            if not run.path.exists():
                return
            _refuse_if_worked_on(run)
            # Held, so that no trainer begins at this moment. Windows renames no folder in which a file is open.
            with nullcontext() if sys.platform == "win32" else hold(run.path):
                run.path.rename(leaving)
        delete_folder(leaving)
    except OSError as error:
        raise RunError(f"Cannot delete {error.filename}: {error.strerror}; check whose folder it is.") from error


def _refuse_if_worked_on(run: Run) -> None:
    if is_held(run.path):
        raise RunError(f"{run.path.name} is being trained; stop it before you delete it.")
    if any(is_held(job) for job in entries(run.eval_dir, "job-*")):
        raise RunError(f"{run.path.name} is being evaluated; delete it afterwards.")
