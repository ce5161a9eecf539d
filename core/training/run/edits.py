"""Edits of an existing run: rename it, write a note, delete it."""

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
    """Return the run with another name, saved in about.json; its folder stays. A bad name raises `RunError`."""
    check_name(name)
    return _edit(run, name=name)


def set_note(run: Run, text: str) -> Run:
    """Return the run with a note, saved in about.json; more than 10,000 characters raise `RunError`."""
    if len(text) > MAX_NOTE:
        raise RunError(f"The note on {run.name} has {len(text):,} characters; shorten it to {MAX_NOTE:,}.")
    return _edit(run, note=text)


def _edit(run: Run, *, name: str | None = None, note: str | None = None) -> Run:
    """Change the name or the note; the other one is read again, since another tab may have edited it."""
    with machine.editing():
        now = open_run(run.path)
        edited = replace(now, name=now.name if name is None else name, note=now.note if note is None else note)
        try:
            write_json(run.path / "about.json", {"schema": SCHEMA, "name": edited.name, "note": edited.note})
        except OSError as error:
            raise RunError(f"Cannot write {run.path / 'about.json'}: {error.strerror}; nothing was changed.") from error
        return edited  # not read again: another process may delete the run now


def delete(run: Run) -> None:
    """Delete a run with its checkpoints; one that is being trained or evaluated raises `RunError`.

    The folder is renamed first, so an interruption leaves no half run. An already deleted run is not an error.
    """
    leaving = run.path.with_name(f"{DELETING}{run.path.name}-{secrets.token_hex(4)}")
    try:
        with machine.starting():
            if not run.path.exists():
                return
            _refuse_if_worked_on(run)
            # Held, so that no trainer starts meanwhile. Windows cannot rename a folder with an open file.
            with nullcontext() if sys.platform == "win32" else hold(run.path):
                run.path.rename(leaving)
        delete_folder(leaving)
    except OSError as error:
        raise RunError(f"Cannot delete {error.filename}: {error.strerror}; check who owns the folder.") from error


def _refuse_if_worked_on(run: Run) -> None:
    if is_held(run.path):
        raise RunError(f"{run.path.name} is being trained; stop it before you delete it.")
    if any(is_held(job) for job in entries(run.eval_dir, "job-*")):
        raise RunError(f"{run.path.name} is being evaluated; delete it afterwards.")
