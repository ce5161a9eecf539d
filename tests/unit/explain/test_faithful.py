"""Maps of the shipped model on the photos that come with it: they show what the model uses, and depend on its weights.

`python -m core bench explain` measures the same on 50 photos.
"""

import numpy as np
from PIL import Image

from core.data.images import read_photo
from core.explain import maps
from core.explain.tracing import explainable
from core.home import PROJECT_ROOT
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.predict.predictor import open_predictor
from core.model.weights.starter import sample_photos
from core.voc import BACKGROUND
from tests.bench.explain import correlations, curve_of, locate

STARTER = PROJECT_ROOT / "checkpoints" / "starter" / "model.safetensors"


def test_blurring_by_the_map_lowers_the_class_sooner_and_random_weights_give_other_maps() -> None:
    predictor, opened = open_predictor(open_checkpoint(STARTER))
    starter = explainable(opened, predictor)
    less_deleted, more_inserted, correlated = [], [], []
    for sample in sample_photos():
        photo = read_photo(sample.file)
        objects_P2 = np.argwhere(np.asarray(Image.open(sample.mask)) != BACKGROUND)
        y, x = objects_P2[len(objects_P2) // 2].tolist()
        for whole_object in (False, True):
            located = locate(starter, photo, (x, y), whole_object=whole_object)
            randoms = [maps.random_map(located.map_HW, 1000 + seed) for seed in range(2)]
            deleted, inserted = (
                [np.mean(curve_of(starter, located, each, inserts=inserts)) for each in (located.map_HW, *randoms)]
                for inserts in (False, True)
            )
            less_deleted.append(np.mean(deleted[1:]) - deleted[0])
            more_inserted.append(inserted[0] - np.mean(inserted[1:]))
        correlated.append(list(correlations(starter, opened.meta, photo, (x, y)).values()))
    assert np.mean(less_deleted) > 0
    assert np.mean(more_inserted) > 0.1
    assert abs(np.mean(correlated, axis=0)[-1]) < 0.3
