"""What befalls a run that nobody watches when its data goes or turns to junk. All of it real."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core import jobs
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.records import Epoch
from tests.processes import epochs_told, until_record, until_state
from tests.slow.faults.ends import goes_on, until_failed_in_words

pytestmark = [
    pytest.mark.slow,
    # A trainer outlives the code that started it, on purpose: nobody waits for its process.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


def replace_by_junk(file: Path) -> bytes:
    """Put junk in the place of a file at once, and return what it held."""
    whole = file.read_bytes()
    junk = file.with_suffix(".junk")
    junk.write_bytes(b"junk" * 1000)
    junk.replace(file)
    return whole


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_photo_that_turns_to_junk_is_named_by_the_next_leg(
    make_run: Callable[..., Run], data: Path, num_workers: int
) -> None:
    """The leg that goes on has its pixels since it began, and needs the file no more."""
    run = make_run(num_workers=num_workers)
    photo = data / "JPEGImages" / "photo_3.jpg"
    folders.start(run)
    until_record(run, Epoch)
    whole = replace_by_junk(photo)
    until_record(run, Epoch, len(epochs_told(run)) + 2)
    jobs.request_stop(run.path)
    until_state(run, "stopped")
    folders.start(run)
    until_failed_in_words(run, photo)
    photo.write_bytes(whole)
    goes_on(run)


def turns_to_junk_and_back(run: Run, file: Path) -> None:
    """Replace a file in mid-run: the run fails in words that name it; then the file is whole again."""
    folders.start(run)
    until_record(run, Epoch)
    whole = replace_by_junk(file)
    until_failed_in_words(run, file)
    file.write_bytes(whole)


def test_a_mask_that_turns_to_junk_and_a_data_folder_that_goes_end_a_leg_in_words(
    make_run: Callable[..., Run], data: Path
) -> None:
    run = make_run()
    turns_to_junk_and_back(run, data / "SegmentationClass" / "photo_9.png")
    folders.start(run)
    until_record(run, Epoch, len(epochs_told(run)) + 1)
    away = data.rename(data.with_name("away"))
    until_failed_in_words(run, data)
    away.rename(data)
    goes_on(run)


def test_without_kept_pixels_a_photo_that_turns_to_junk_ends_a_run_in_words(
    make_run: Callable[..., Run], data: Path, home: Path
) -> None:
    (home / "cache").write_text("a file in the place of the folder: nothing can be kept")
    run = make_run()
    turns_to_junk_and_back(run, data / "JPEGImages" / "photo_3.jpg")
    goes_on(run)
