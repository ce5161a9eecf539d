"""What a person does with a run that is there: call it otherwise, note something about it, delete it."""

import shutil

from core.errors import RunError
from core.files import write_json
from core.jobs import is_held
from core.training import machine
from core.training.runs import DELETING, SCHEMA, Run, check_name, open_run

MAX_NOTE = 10_000


def rename(run: Run, name: str) -> Run:
    """Call a run otherwise, and return it anew; its folder keeps the name it was made with. A bad name: `RunError`."""
    check_name(name)
    return _write_about(run, name, run.note)


def set_note(run: Run, text: str) -> Run:
    """Keep a text of up to 10,000 characters about a run, and return the run anew; a longer one raises `RunError`."""
    if len(text) > MAX_NOTE:
        raise RunError(f"The note on {run.name} has {len(text):,} characters; shorten it to {MAX_NOTE:,}.")
    return _write_about(run, run.name, text)


def _write_about(run: Run, name: str, note: str) -> Run:
    try:
        write_json(run.path / "about.json", {"schema": SCHEMA, "name": name, "note": note})
    except OSError as error:
        raise RunError(f"Cannot write {run.path / 'about.json'}: {error.strerror}; nothing was changed.") from error
    return open_run(run.path)


def delete(run: Run) -> None:
    """Delete a run with its checkpoints for good; one that is being trained or evaluated raises `RunError`.

    The folder is renamed first: whatever interrupts the rest, no half run is ever seen.
    """
    with machine.starting():
        if is_held(run.path):
            raise RunError(f"{run.path.name} is being trained; stop it before you delete it.")
        if any(is_held(job) for job in run.eval_dir.glob("job-*")):
            raise RunError(f"{run.path.name} is being evaluated; delete it afterwards.")
        leaving = run.path.with_name(f"{DELETING}{run.path.name}")
        try:
            shutil.rmtree(leaving, ignore_errors=True)
            run.path.rename(leaving)
            shutil.rmtree(leaving)
        except OSError as error:
            raise RunError(f"Cannot delete {error.filename}: {error.strerror}; check whose folder it is.") from error
