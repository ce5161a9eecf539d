"""Which photos a run trained on, confirmed by the fingerprint that it logged. No torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.dataset import TEST, Dataset, fingerprint, open_dataset
from core.data.hashing import hashes
from core.data.seeding import fraction_of
from core.errors import CoreError
from core.model.weights import starter
from core.training.run.folders import Run, open_run
from core.training.run.log import known_log, read_log
from core.wording import count


def trained_on(run: Run) -> frozenset[str] | None:
    """Return the hashes of the photos that the legs of a run trained on; None if that is not known (`photos_of`)."""
    legs = [photos_of(Path(run.data), leg.config, leg.fingerprint) for leg in read_log(run.log_path).legs]
    known = [photos for photos in legs if photos is not None]
    return frozenset[str]().union(*known) if known and len(known) == len(legs) else None


def began_from_starter(run: Run) -> bool:
    """Return whether a run started from the starter's weights, whose training photos may be among its own."""
    legs = known_log(run.log_path).legs
    return ((legs[0].init if legs else "") or run.config.init) == starter.NAME  # older logs lack it


def photos_of(data: Path, config: Mapping[str, Any], logged: str) -> frozenset[str] | None:
    """Return the hashes of the photos that a leg with these settings trained on.

    They follow from the data's lists as they are today. If the fingerprint of those photos is not `logged`, the lists,
    photos or masks have changed since: None, as for data that cannot be read.
    """
    try:
        dataset = open_dataset(data)
        some = fraction_of(dataset.split("train"), float(config["train_fraction"]), int(config["seed"]))
        if fingerprint((*some, *dataset.split("val"))) != logged:
            return None
        return frozenset(hashes([sample.photo for sample in some]))
    except (CoreError, KeyError, TypeError, ValueError):
        return None


def trained_on_test(checkpoint: Path, data: Dataset) -> str | None:
    """Return a sentence if the run of a checkpoint trained, or may have trained, on photos of the split `test`.

    None if it did not, if it is not a run's file, or if the run has no log.
    """
    try:
        run = open_run(checkpoint.resolve().parent)
    except CoreError:
        return None
    seen = num_test_photos(run, data)
    if seen is None:
        return (
            f"{run.name} trained before the lists, photos or masks of its data were changed: photos that are now in "
            f"{TEST} may be among those it trained on, and then its scores on {TEST} are too high."
        )
    return (
        f"{run.name} trained on {count(seen, 'photo')} of {TEST}: its scores on {TEST} are too high." if seen else None
    )


def num_test_photos(run: Run, data: Dataset) -> int | None:
    """Return how many photos of the split `test` a run trained on; None if that is not known."""
    if not read_log(run.log_path).legs or not data.splits.get(TEST):
        return 0
    photos = trained_on(run)
    if photos is None:
        return None
    return sum(digest in photos for digest in hashes([sample.photo for sample in data.split(TEST)]))
