"""Figures for trust: the very pixels and calibration of an evaluation, stored beside it, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.data.dataset import Dataset, fingerprint, open_dataset
from core.errors import DataError, RunError
from core.metrics.temperature import AT_ONE
from core.model.photo import open_photo_file
from core.model.predict.predictor import open_predictor
from core.training import trust
from core.training.evaluation import evaluate_checkpoint
from core.training.held_out import trust_checkpoint
from core.training.run import evaluations
from core.training.run.folders import Run, create_run
from core.training.run.log import LogWriter
from core.training.settings.config import TrainingConfig
from tests.small_data import write_list
from tests.small_models import save_lively_model
from tests.unit.ui.made_logs import leg


def logged(path: Path, voc: Path) -> None:
    """Write that a run begins on data as they are."""
    data, log = open_dataset(voc), LogWriter(path)
    digest = fingerprint((*data.split("train"), *data.split("val")))
    log.write(leg(config=TrainingConfig().as_dict(), fingerprint=digest))
    log.close()


@pytest.fixture
def run(tiny_voc: Path) -> Run:
    run = create_run("one", tiny_voc, "report", TrainingConfig())
    save_lively_model(run.path / "epoch_010.pt")
    logged(run.log_path, tiny_voc)
    return run


def found_in(run: Run, data: Dataset) -> trust.Trust | None:
    """Return the stored figures of the checkpoint as it is now."""
    digest = evaluations.file_hash(run.path / "epoch_010.pt")
    return trust.stored(run.eval_dir, digest, "val", fingerprint(data.split("val")))


def test_the_figures_are_those_of_the_evaluation_and_are_stored_once(run: Run, tiny_voc: Path) -> None:
    file, data, seen = run.path / "epoch_010.pt", open_dataset(tiny_voc), list[tuple[int, int]]()
    assert found_in(run, data) is None
    found = trust_checkpoint(file, data, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]

    evaluated = evaluate_checkpoint(file, data, "val")
    assert found.names == tuple(result.name for result in evaluated.results)
    for counts_2L, result in zip(found.counts_N2L, evaluated.results, strict=True):
        assert counts_2L.sum(axis=1).tolist() == [result.counts_KK.sum(), np.trace(result.counts_KK)]
    np.testing.assert_array_equal(found.truth_K, sum(each.counts_KK.sum(axis=1) for each in evaluated.results))
    bins_3B = sum(each.bins_3B for each in evaluated.results)
    np.testing.assert_allclose(found.bins_2T3B[:, AT_ONE].sum(axis=0), bins_3B, rtol=1e-4)

    predictor, _ = open_predictor(file)
    photo = open_photo_file(data.split("val")[0].photo).photo
    logits_Khw, last_C = predictor.described(photo)
    features = predictor.features(photo)
    np.testing.assert_array_equal(features.last_C, last_C)
    distance_R = [of.distance(each_C[None].numpy())[0] for of, each_C in zip(found.references, features, strict=True)]
    # One photo is multiplied by another routine than six: equal but for the last bit of float64.
    np.testing.assert_allclose(distance_R, found.distance_NR[0], rtol=1e-12)
    assert len(logits_Khw) == 21

    stored = found_in(run, data)
    assert stored
    assert stored.as_dict() == found.as_dict()
    assert trust_checkpoint(file, data, on_progress=lambda *_: pytest.fail("it is stored")).as_dict() == found.as_dict()
    save_lively_model(file, seed=1)
    assert found_in(run, data) is None, "the file is another one now"


def test_what_was_trained_on_is_not_held_out(run: Run, tiny_voc: Path) -> None:
    """A promise from photos that the model learned would be too high: the log says which, not the lists of today."""
    file, names = run.path / "epoch_010.pt", [sample.name for sample in open_dataset(tiny_voc).split("val")]
    for split, said in (("train", "trained on every photo of train"), ("test", "for the last question")):
        with pytest.raises(DataError, match=said):
            trust_checkpoint(file, open_dataset(tiny_voc), split)
    of_all = trust_checkpoint(file, open_dataset(tiny_voc), trained_on=[tiny_voc])
    assert of_all.about.num_trained_on == 4, "val of another data set is not what it trained on"
    assert found_in(run, open_dataset(tiny_voc)) is None, "the next call would take them for the run's own"

    write_list(tiny_voc, "train", ["photo_0", names[0]])
    with pytest.raises(DataError, match="not known any more"):
        trust_checkpoint(file, open_dataset(tiny_voc))
    run.log_path.unlink()
    logged(run.log_path, tiny_voc)
    assert trust_checkpoint(file, open_dataset(tiny_voc)).names == (names[1],)
    alone = save_lively_model(tiny_voc.parent / "alone.pt")
    with pytest.raises(DataError, match="name its data sets with --trained-on"):
        trust_checkpoint(alone, open_dataset(tiny_voc))


def test_figures_of_version_1_mean_what_they_meant(run: Run, tiny_voc: Path) -> None:
    """They knew the distance of the last map alone, under the name of `distance_N`, and no scale."""
    file, data = run.path / "epoch_010.pt", open_dataset(tiny_voc)
    found = trust_checkpoint(file, data)
    (place,) = run.eval_dir.glob("trust-*.npz")
    trust.write(place, replace(found, about=replace(found.about, schema=1)))
    with np.load(place) as stored:
        arrays = {name: stored[name] for name in stored.files if not name.startswith("early_") and name != "scale_C"}
    np.savez(place, **arrays | {"distance_N": arrays.pop("distance_NR")[:, 0]})
    old, features = trust.read(place), (np.ones(len(found.references[0].mean_C), np.float32), np.ones(3, np.float32))
    assert old.as_dict() == found.as_dict() | {"schema": 1}
    assert (
        old.unlikeness(features).by_distance
        == found.unlikeness((features[0], found.references[1].mean_C)).by_distance[:1]
    )
    assert trust_checkpoint(file, data).as_dict() == found.as_dict(), "counted again, they know both"
    assert len(trust.read(place).references) == 2


def test_figures_that_cannot_be_read_are_counted_again(run: Run, tiny_voc: Path) -> None:
    file, data = run.path / "epoch_010.pt", open_dataset(tiny_voc)
    trust_checkpoint(file, data)
    (place,) = run.eval_dir.glob("trust-*.npz")
    whole = trust.read(place)
    trust.write(place, replace(whole, about=replace(whole.about, schema=trust.SCHEMA + 1)))
    for content in (place.read_bytes(), place.read_bytes()[:100], b""):
        place.write_bytes(content)
        assert found_in(run, data) is None
        with pytest.raises(RunError, match="compute them again"):
            trust.read(place)
    assert evaluations.stored(run.eval_dir) == [], "it is not taken for an evaluation"
    assert trust_checkpoint(file, data).as_dict() == whole.as_dict()
    shutil.rmtree(run.path)
    with pytest.raises(RunError, match="cannot be written"):
        trust.write(place, whole)
