"""Which class of a data set each class of a model becomes; nothing is mapped wrong without a word."""

from typing import Any

import pytest

from core.errors import ConfigError
from core.model.weights.starter import KNOWN
from core.review.class_mapping import map_classes
from core.voc import CLASS_NAMES

PETS = ("background", "cat", "dog", "horse")


def mapped(model: tuple[str, ...], own: tuple[str, ...], **asked: Any) -> dict[str, str]:
    """Return the classes that become something else than background, by name."""
    found = map_classes(model, own, **asked)
    return {name: own[to] for name, to in zip(model, found.targets, strict=True) if to}


@pytest.mark.parametrize(
    ("model", "own", "asked", "becomes"),
    [
        (PETS, PETS, {}, {"cat": "cat", "dog": "dog", "horse": "horse"}),
        (PETS, ("background", "Dog", "CATS"), {}, {"cat": "CATS", "dog": "Dog"}),
        (CLASS_NAMES, ("background", "Potted plant", "TV", "people"), {},
         {"pottedplant": "Potted plant", "tvmonitor": "TV", "person": "people"}),
        (PETS, ("background", "pet"), {}, dict.fromkeys(PETS[1:], "pet")),
        (PETS, ("background", "apple", "pet"), {"object_class": "pet"}, dict.fromkeys(PETS[1:], "pet")),
        (PETS, ("background", "cat", "pet"), {"chosen": {"dog": "pet"}}, {"cat": "cat", "dog": "pet"}),
        (PETS, ("background", "cat", "pet"), {"chosen": {"cat": "pet"}}, {"cat": "pet"}),
        (PETS, ("background", "cat", "pet"), {"object_class": "pet", "chosen": {"cat": "cat"}},
         {"cat": "cat", "dog": "pet", "horse": "pet"}),
        (PETS, ("background", "cat", "cats"), {}, {"cat": "cat"}),
        (("background", "class 1"), ("background", "class 1", "x"), {"has_same_numbers": True}, {"class 1": "class 1"}),
        (("background", "light, red", "car"), ("background", "light red"), {}, {"light, red": "light red"}),
        (("background", "ring", "glass"), ("background", "Glass", "rings"), {}, {"ring": "rings", "glass": "Glass"}),
    ],
)  # fmt: skip
def test_a_class_becomes_the_one_of_its_name_or_the_one_that_was_chosen(
    model: tuple[str, ...], own: tuple[str, ...], asked: dict[str, Any], becomes: dict[str, str]
) -> None:
    assert mapped(model, own, **asked) == becomes


@pytest.mark.parametrize(
    ("model", "own", "asked", "said"),
    [
        (PETS, ("background", "apple", "pear"), {}, "say which class its objects are"),
        (("background", "class 1"), ("background", "class 1", "class 2"), {}, "say which class its objects are"),
        (("background", "cat"), ("background", "cat", "cats"), {"object_class": "dog"}, "no class 'dog'"),
        (PETS, ("background", "pet"), {"chosen": {"cow": "pet"}}, "The model has no class 'cow'"),
        (
            ("background", "cat"),
            ("background", "cat"),
            {"chosen": {"cat": "background"}},
            "would become the same class",
        ),
        (PETS, ("background", "pet"), {"object_class": "background"}, "Objects cannot all become background"),
    ],
)
def test_what_is_not_clear_is_asked(
    model: tuple[str, ...], own: tuple[str, ...], asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        map_classes(model, own, **asked)


def test_what_was_decided_is_said() -> None:
    notes = map_classes(PETS, ("background", "cat", "apple")).notes
    assert notes == (
        "Not classes of the data set, so background: dog, horse.",
        "The model cannot find apple.",
    )
    assert map_classes(PETS, ("background", "pet")).notes == (
        "Whatever the model finds counts as pet: cat, dog, horse.",
    )


def test_the_starter_finds_no_class_that_it_was_not_trained_on() -> None:
    """It has VOC's 21 names; by its names alone, aeroplanes would be proposed as background everywhere."""
    assert mapped(CLASS_NAMES, ("background", "aeroplane"), can_find=KNOWN) == dict.fromkeys(KNOWN, "aeroplane")
    found = map_classes(CLASS_NAMES, ("background", "aeroplane", "cat"), can_find=KNOWN)
    assert "The model cannot find aeroplane." in found.notes


def test_the_groups_are_the_classes_that_something_becomes() -> None:
    assert map_classes(PETS, ("background", "apple", "dog")).groups() == {0: [0, 1, 3], 2: [2]}
