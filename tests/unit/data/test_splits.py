"""Splitting so that both parts show every class, against what splitting at random does."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.dataset import Sample, num_to_train, open_dataset
from core.data.splits import MIN_PHOTOS, preview_splits, set_aside_test, split_shares, stratified_splits
from core.errors import DataError
from core.voc import CLASS_NAMES
from tests.small_data import write_pairs
from tests.unit.data.analysed import split_stats

Photos = dict[str, frozenset[int]]

photos = st.lists(st.frozensets(st.integers(0, 7), max_size=4), max_size=80).map(
    lambda sets: {f"photo_{number}": class_ids for number, class_ids in enumerate(sets)}
)


def samples_of(class_ids: Photos) -> list[Sample]:
    return [Sample(name, Path(f"{name}.jpg"), Path(f"{name}.png")) for name in class_ids]


@settings(max_examples=200, deadline=None)
@given(photos, st.integers(0, 5))
def test_a_stratified_split_is_a_split_of_the_usual_sizes(class_ids: Photos, seed: int) -> None:
    samples = samples_of(class_ids)
    splits = stratified_splits(samples, class_ids, seed)
    assert list(splits) == ["train", "val"]
    assert sorted([*splits["train"], *splits["val"]], key=lambda each: each.name) == sorted(
        samples, key=lambda each: each.name
    )
    usual = len(samples) - num_to_train(len(samples))
    shared = [sum(class_id in ids for ids in class_ids.values()) >= 2 for class_id in range(8)]
    assert usual <= len(splits["val"]) <= max(usual, sum(shared))
    for part in splits.values():
        assert list(part) == sorted(part, key=lambda each: each.name)
    assert stratified_splits(samples[::-1], class_ids, seed) == splits


@settings(max_examples=300, deadline=None)
@given(photos, st.integers(0, 5))
def test_no_class_of_five_photos_is_missing_in_either_part(class_ids: Photos, seed: int) -> None:
    shares = split_shares(stratified_splits(samples_of(class_ids), class_ids, seed), class_ids, 8)
    for train, val in zip(shares.train, shares.val, strict=True):
        assert train + val < MIN_PHOTOS or min(train, val) > 0


@pytest.mark.parametrize("num_photos", [2, 3, 4])
def test_a_class_of_two_photos_is_in_both_parts(num_photos: int) -> None:
    """A class of fewer than five photos was left to luck, and often in train alone."""
    for seed in range(20):
        class_ids = {
            f"photo_{number}": frozenset({0} | ({1} if number < num_photos else set())) for number in range(10)
        }
        shares = split_shares(stratified_splits(samples_of(class_ids), class_ids, seed), class_ids, 2)
        assert (shares.train[1] > 0, shares.val[1]) == (True, 1)


def test_a_class_of_a_single_photo_is_learned() -> None:
    """Its photo shows most of what val lacked, so it was in val alone, where its score is 0 whatever is trained."""
    shown = [{0}, {0, 1, 2, 4, 5}, {0, 2, 3}, {0, 1}, {0, 5}, {0, 1, 2}, {0, 2}, {0, 1}, {0}, {0, 1}]
    class_ids = {f"photo_{number}": frozenset(ids) for number, ids in enumerate(shown)}
    shares = split_shares(stratified_splits(samples_of(class_ids), class_ids, seed=2), class_ids, 6)
    assert min(shares.train) > 0
    assert [shares.val[0], *shares.val[3:5]] == [2, 0, 0], "the usual size; classes of one photo are not in val"


def test_rare_classes_in_the_same_photos_do_not_use_up_a_common_one() -> None:
    """As it was published, the algorithm gives each photo of a class of one photo to train, and class 0 with it."""
    class_ids = {f"photo_{number}": frozenset({0, 1 + number}) for number in range(5)}
    splits = stratified_splits(samples_of(class_ids), class_ids, seed=0)
    assert split_shares(splits, class_ids, 6).val[0] == 1


def test_another_seed_gives_another_split() -> None:
    class_ids = {f"photo_{number}": frozenset({0, 1 + number % 3}) for number in range(40)}
    splits = {str(stratified_splits(samples_of(class_ids), class_ids, seed)) for seed in range(4)}
    assert len(splits) == 4


def test_the_preview_counts_photos_and_the_largest_deviation() -> None:
    class_ids = {f"photo_{number}": frozenset({0} | ({1} if number < 10 else set())) for number in range(100)}
    preview = preview_splits(samples_of(class_ids), class_ids, 3, seed=0)
    assert (preview.stratified.train, preview.stratified.val) == ((80, 8, 0), (20, 2, 0))
    assert preview.stratified.largest_deviation == pytest.approx(0)
    assert preview.random.train[0] == 80
    assert preview.random.largest_deviation == pytest.approx(abs(preview.random.val[1] / 10 - 0.2))
    nothing = preview_splits([], {}, 3, seed=0)
    assert nothing.random.largest_deviation is nothing.stratified.largest_deviation is None


def test_a_real_split_is_closer_to_a_fifth_than_a_random_one(voc_animals: Path) -> None:
    samples = open_dataset(voc_animals).split("val")
    stats = split_stats(samples, CLASS_NAMES)
    class_ids = dict(zip(stats.names, stats.class_ids, strict=True))
    preview = preview_splits(samples, class_ids, 21, seed=0)
    assert preview.stratified.largest_deviation is not None
    assert preview.random.largest_deviation is not None
    assert preview.stratified.largest_deviation <= 0.05 < preview.random.largest_deviation


def test_a_test_split_is_set_aside_from_train_val_and_every_other_list(tmp_path: Path) -> None:
    """Without lists they are written; with lists, the photos leave all of them, trainaug too."""
    names = [f"p{number}" for number in range(20)]
    write_pairs(tmp_path / "images", tmp_path / "masks", names)
    before = open_dataset(tmp_path).splits
    set_aside_test(tmp_path, 0.25)
    after = open_dataset(tmp_path)
    assert {name: len(its) for name, its in after.splits.items()} == {"train": 12, "val": 3, "test": 5}
    assert set(after.splits["train"]) < set(before["train"])
    assert set(after.splits["val"]) < set(before["val"])
    with pytest.raises(DataError, match=r"test\.txt exists already"):
        set_aside_test(tmp_path, 0.25)

    lists = tmp_path / "ImageSets" / "Segmentation"
    (lists / "test.txt").unlink()
    (lists / "trainval.txt").write_text("".join(f"{name}\n" for name in names))
    set_aside_test(tmp_path, 0.2, seed=1)
    listed = {file.stem: set(file.read_text().split()) for file in lists.iterdir()}
    assert len(listed["test"]) == 3
    assert not listed["test"] & (listed["train"] | listed["val"] | listed["trainval"])
    assert listed["trainval"] == set(names) - listed["test"]
    assert len(list(lists.parent.glob("Segmentation-before*"))) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_photo_in_train_and_val_is_set_aside_from_both_and_once(tmp_path: Path, seed: int) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", [f"p{number}" for number in range(12)])
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for part, numbers in (("train", range(9)), ("val", range(4, 12))):
        (lists / f"{part}.txt").write_text("".join(f"p{number}\n" for number in numbers))
    set_aside_test(tmp_path, 0.5, seed)
    test, train, val = ((lists / f"{part}.txt").read_text().split() for part in ("test", "train", "val"))
    assert len(test) == len(set(test)) == 6
    assert not set(test) & {*train, *val}
    assert {*test, *train, *val} == {f"p{number}" for number in range(12)}


@pytest.mark.parametrize(
    ("share", "why"), [(0.0, "between 0 and 1"), (1.5, "between 0 and 1"), (0.9, "too few"), (0.01, "too few")]
)
def test_a_test_split_that_is_not_possible_is_refused(tiny_voc: Path, share: float, why: str) -> None:
    with pytest.raises(DataError, match=why):
        set_aside_test(tiny_voc, share)
    assert "test" not in open_dataset(tiny_voc).splits
