"""What is odd about scores, and whether its cause is the right one; masks are drawn, and spoiled on purpose."""

from collections.abc import Callable

import numpy as np
import pytest

from core.metrics.confusion import Counts, Ids, confusion_counts, void_pixels
from core.metrics.guard import Suspicion, explain, suspicion
from core.metrics.scores import score
from core.voc import CLASS_NAMES, PALETTE, VOID

K = len(CLASS_NAMES)
CAT, COW, DOG = (CLASS_NAMES.index(name) for name in ("cat", "cow", "dog"))


def scenes(num: int = 24) -> list[Ids]:
    """Draw masks of one or two objects each, all classes in turn, on background, with an outline of void."""
    masks = []
    for index in range(num):
        mask_HW = np.zeros((40, 50), dtype=np.uint8)
        mask_HW[5:25, 5:25] = VOID
        mask_HW[6:24, 6:24] = 1 + index % (K - 1)
        if index % 3 == 0:
            mask_HW[26:38, 30:48] = 1 + (index + 7) % (K - 1)
        masks.append(mask_HW)
    return masks


def good_guess(mask_HW: Ids) -> Ids:
    """Predict the truth a pixel to the right."""
    return np.roll(np.where(mask_HW == VOID, 0, mask_HW), 1, axis=1)


def suspect(truths: list[Ids], guesses: list[Ids]) -> Suspicion | None:
    pairs = list(zip(truths, guesses, strict=True))
    counts_NKK: Counts = np.array([confusion_counts(truth, guess, K) for truth, guess in pairs])
    void = sum(void_pixels(truth, K) for truth in truths)
    return suspicion(score(counts_NKK, CLASS_NAMES, void_pixels=void))


def test_a_good_checkpoint_is_believed() -> None:
    assert suspect(scenes(), [good_guess(mask) for mask in scenes()]) is None


def test_the_all_background_checkpoint() -> None:
    found = suspect(scenes(), [np.zeros_like(mask) for mask in scenes()])
    assert found is not None
    assert found.kind == "background everywhere"
    assert [(hit.name, hit.place) for hit in found.on_floor] == [("miou", "on"), ("pixel_accuracy", "on")]
    assert all(hit.value == pytest.approx(hit.floor) for hit in found.on_floor)


def test_one_class_everywhere() -> None:
    found = suspect(scenes(), [np.full_like(mask, DOG) for mask in scenes()])
    assert found is not None
    assert found.kind == "one class everywhere"
    assert "dog everywhere" in found.cause
    assert [hit.place for hit in found.on_floor] == ["below", "below"]


def shuffled(order: list[int]) -> Callable[[Ids], Ids]:
    return lambda mask: np.array(order)[good_guess(mask)]


def test_a_checkpoint_with_shuffled_classes() -> None:
    order = [0, *np.random.default_rng(0).permutation(np.arange(1, K)).tolist()]
    found = suspect(scenes(), [shuffled(order)(mask) for mask in scenes()])
    assert found is not None
    assert found.kind == "shuffled classes"
    first = next(k for k in range(1, K) if order[k] != k)
    assert f"{CLASS_NAMES[first]} is called {CLASS_NAMES[order[first]]}" in found.cause


def test_two_swapped_classes_are_named_though_the_score_is_far_above_the_floor() -> None:
    order = list(range(K))
    order[CAT], order[COW] = COW, CAT
    found = suspect(scenes(), [shuffled(order)(mask) for mask in scenes()])
    assert found is not None
    assert (found.kind, found.on_floor) == ("shuffled classes", ())
    assert "cat is called cow, cow is called cat;" in found.cause


def test_ids_that_are_off_by_one() -> None:
    found = suspect(scenes(), [shuffled([0, *range(2, K), 1])(mask) for mask in scenes()[:19]] + scenes_clean(5))
    assert found is not None
    assert (found.kind, "1 above" in found.cause) == ("offset ids", True)


def scenes_clean(num: int) -> list[Ids]:
    return [np.zeros((40, 50), dtype=np.uint8)] * num


def test_masks_whose_colours_were_read_as_grey_levels() -> None:
    """VOC's colours turned to grey: aeroplane, (128, 0, 0), becomes 38, which is no class."""
    grey_256 = np.rint(PALETTE @ [0.299, 0.587, 0.114]).astype(np.uint8)
    truths = [grey_256[np.where(mask == 0, DOG, mask)] for mask in scenes()]
    found = suspect(truths, [good_guess(mask) for mask in scenes()])
    assert found is not None
    assert found.kind == "mostly void"
    assert "another palette" in found.cause


def test_black_and_white_masks_have_void_objects() -> None:
    truths = [np.where(mask > 0, VOID, 0).astype(np.uint8) for mask in scenes()]
    found = suspect(truths, [good_guess(mask) for mask in scenes()])
    assert found is not None
    assert found.kind == "void objects"


def test_what_is_worse_than_a_guess_has_learned_nothing() -> None:
    random = np.random.default_rng(0)
    found = suspect(scenes(), [random.integers(0, K, mask.shape) for mask in scenes()])
    assert found is not None
    assert found.kind == "untrained"


def test_a_model_that_finds_objects_has_learned_something() -> None:
    """Of one whose mIoU lay above the floor and whose pixel accuracy did not, it said that it beat no guess."""
    found = suspicion(score(np.array([[[75, 15], [0, 10]]]), ("background", "cat")))  # accuracy 85 %, floor 90 %
    assert found is not None
    assert [hit.name for hit in found.on_floor] == ["pixel_accuracy"]
    assert found.kind == "objects everywhere"
    assert "background for an object" in found.cause


def test_a_model_that_takes_dogs_for_cats_is_weak_but_not_shuffled() -> None:
    found = suspect(scenes(), [np.where(good_guess(mask) == DOG, CAT, good_guess(mask)) for mask in scenes()])
    assert found is None


def test_nothing_counted_is_not_suspected() -> None:
    assert suspicion(score(np.zeros((2, K, K), dtype=np.int64), CLASS_NAMES)) is None


@pytest.mark.parametrize(
    ("value", "floor", "kind"),
    [
        (0.00086, 0.033, "below floor"),  # the report's IoU
        (112, None, "outside"),  # its recall
        (0.6985, 0.6985, "on floor"),  # its accuracy
        (52.1, 0.033, "percent"),
        (-0.2, None, "outside"),
        (float("nan"), None, "no number"),
        (0.52, 0.033, None),
        (0.52, None, None),
        (1.0, 0.7, None),
    ],
)
def test_numbers_from_elsewhere(value: float, floor: float | None, kind: str | None) -> None:
    found = explain(value, floor)
    assert (found.kind if found else None) == kind
