"""Maps of the shipped model on the photos that come with it: they show what the model uses, and depend on its weights.

`python -m core bench explain` measures the same on 50 photos.
"""

import numpy as np
import pytest
from PIL import Image

from core.data.images import read_photo
from core.explain import maps
from core.explain.tracing import Explainable, explainable
from core.home import PROJECT_ROOT
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.predict.predictor import open_predictor
from core.model.weights.starter import sample_photos
from core.voc import BACKGROUND
from tests.bench.explain import calibrate, curve_of, locate, randomized, rank_correlation

STARTER = PROJECT_ROOT / "checkpoints" / "starter" / "model.safetensors"
NUM_PIXELS = 2
"""Pixels of the object in each photo."""


@pytest.fixture(scope="module")
def models() -> tuple[Explainable, Explainable]:
    """The starter, and the same architecture with random weights."""
    predictor, opened = open_predictor(open_checkpoint(STARTER))
    starter = explainable(opened, predictor)
    return starter, randomized(starter, opened.meta.architecture, opened.meta.output_stride)


def test_deleting_by_the_map_lowers_the_class_sooner_and_random_weights_give_other_maps(
    models: tuple[Explainable, Explainable],
) -> None:
    starter, blank = models
    less_deleted, more_inserted, correlations = [], [], []
    for sample in sample_photos():
        photo = read_photo(sample.file)
        objects_P2 = np.argwhere(np.asarray(Image.open(sample.mask)) != BACKGROUND)
        for seed in range(NUM_PIXELS):
            y, x = objects_P2[(seed + 1) * len(objects_P2) // (NUM_PIXELS + 1)].tolist()
            at = (x, y)
            located = locate(starter, photo, at)
            random_HW = maps.random_map(starter.predictor.image_size, located.place, 1000 + seed)
            deleted, inserted = (
                [np.mean(curve_of(starter.predictor, located, each, inserts=inserts))
                 for each in (located.map_HW, random_HW)]
                for inserts in (False, True)
            )  # fmt: skip
            less_deleted.append(deleted[1] - deleted[0])
            more_inserted.append(inserted[0] - inserted[1])
            calibrate(blank, located.square_3SS)
            other = locate(blank, photo, at, located.target.class_id)
            correlations.append(rank_correlation(located.map_HW, other.map_HW))
    assert np.mean(less_deleted) > 0
    assert np.mean(more_inserted) > 0.1
    assert abs(np.mean(correlations)) < 0.3
