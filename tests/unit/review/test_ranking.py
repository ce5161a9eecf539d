"""The order in which photos are to be labelled."""

import numpy as np
import pytest
import torch

from core.review import ranking
from core.review.ranking import Look, look, random_order, ranked

NAMES = ("background", "cat", "dog")


def a_look(uncertainty: float, direction: int, *, unsure_share: float = 0.3, near: float = 0.0) -> Look:
    descriptor_D = np.zeros(8, np.float32)
    descriptor_D[direction] = 1.0
    descriptor_D[7] = near
    return Look(uncertainty, unsure_share, (1, 2), descriptor_D)


def frames_and_others() -> dict[str, Look]:
    """Return ten frames of one scene, the most unsure photos of all, and three others."""
    frames = {f"frame_{number}": a_look(0.9 + 0.001 * number, 0, near=0.01 * number) for number in range(10)}
    return frames | {f"other_{number}": a_look(0.5, number) for number in (1, 2, 3)}


def test_ten_frames_of_one_scene_are_not_the_first_ten() -> None:
    order = [each.name for each in ranked(frames_and_others(), [], NAMES)]
    assert sorted(order) == sorted(frames_and_others())
    assert order[0] == "frame_9"
    assert {"other_1", "other_2", "other_3"} <= set(order[:4])


def test_with_nothing_labelled_no_reason_speaks_of_it() -> None:
    assert not [each for each in ranked(frames_and_others(), [], NAMES) if "labelled" in each.reason]


def test_thousands_of_photos_are_all_ranked_once() -> None:
    draw = np.random.default_rng(0)
    looks = {
        f"{number}": Look(float(draw.random()), 0.1, (1, 2), draw.random(16).astype(np.float32))
        for number in range(900)
    }
    order = ranked(looks, [], NAMES)
    assert sorted(each.name for each in order) == sorted(looks)
    assert [each.score for each in order] == sorted((each.score for each in order), reverse=True)


def test_what_is_like_a_labelled_photo_comes_last() -> None:
    looks = frames_and_others()
    order = ranked(looks, [looks["frame_3"].descriptor_D], NAMES)
    assert {each.name for each in order[:3]} == {"other_1", "other_2", "other_3"}
    assert order[0].reason == "unsure over 30 % of the photo, mostly between cat and dog; unlike what is labelled."
    assert order[-1].reason.endswith("much like a labelled photo.")
    assert ranked(looks, [], NAMES)[1].reason.endswith("; unlike the photos ranked before it."), (
        "rows have other orders"
    )


def test_the_order_of_the_files_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor how many labelled ones are compared at once: 10,000 photos beside 10,000 took 800 MB."""
    looks = frames_and_others()
    known = [looks["frame_1"].descriptor_D, looks["other_2"].descriptor_D]
    order = ranked(looks, known, NAMES)
    monkeypatch.setattr(ranking, "KNOWN_AT_ONCE", 1)
    for seed in range(5):
        names = np.random.default_rng(seed).permutation(list(looks)).tolist()
        again = ranked({name: looks[name] for name in names}, known[::-1], NAMES)
        assert [(each.name, each.reason) for each in again] == [(each.name, each.reason) for each in order]


def test_scores_fall_along_the_order() -> None:
    scores = [each.score for each in ranked(frames_and_others(), [], NAMES)]
    assert scores == sorted(scores, reverse=True)


def test_a_new_photo_moves_none_of_a_random_order() -> None:
    names = [f"frame_{number}" for number in range(30)]
    order = random_order(names)
    assert sorted(order) == sorted(names)
    assert order != names
    assert [name for name in random_order([*reversed(names), "new"]) if name != "new"] == order


def test_one_photo_and_none() -> None:
    assert ranked({}, [], NAMES) == []
    assert [each.name for each in ranked({"a": a_look(0.2, 1)}, [], NAMES)] == ["a"]
    (sure,) = ranked({"a": a_look(0.01, 1, unsure_share=0.0)}, [], NAMES)
    assert sure.reason == "the model is sure nearly everywhere."


def test_a_look_agrees_with_a_count_pixel_by_pixel() -> None:
    logits_Khw = torch.randn((3, 9, 7), generator=torch.Generator().manual_seed(0)).mul(2)
    seen = look(logits_Khw, torch.ones(4), (0, 4, 7))
    entropies: dict[int, list[float]] = {}
    unsure = []
    for probabilities in logits_Khw.softmax(0).flatten(1).T.double().numpy():
        best = int(probabilities.argmax())
        entropies.setdefault(best, []).append(float(-(probabilities * np.log(probabilities)).sum() / np.log(3)))
        first, second = sorted(probabilities.argsort()[::-1][:2].tolist())
        if np.sort(probabilities)[-1] - np.sort(probabilities)[-2] < 0.5:
            unsure.append((first, second))
    assert seen.uncertainty == pytest.approx(np.mean([np.mean(values) for values in entropies.values()]), abs=1e-5)
    assert seen.unsure_share == pytest.approx(len(unsure) / 63)
    assert seen.between == tuple((0, 4, 7)[each] for each in max(sorted(set(unsure)), key=unsure.count))


def test_a_small_object_counts_as_much_as_its_background() -> None:
    """Over all pixels, 4 % of an object that the model is unsure of would hardly show."""
    logits_Khw = torch.zeros((2, 10, 10))
    logits_Khw[0] = 20.0
    logits_Khw[:, :2, :2] = torch.tensor([0.0, 0.1])[:, None, None]
    assert look(logits_Khw, torch.ones(2), (0, 1)).uncertainty == pytest.approx(0.5, abs=0.01)
    logits_Khw[:, :2, :2] = torch.tensor([0.0, 20.0])[:, None, None]
    assert look(logits_Khw, torch.ones(2), (0, 1)).uncertainty == pytest.approx(0, abs=0.01)
