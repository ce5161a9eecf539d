"""Two languages that say the same, each in its own way of writing numbers."""

import re
import string
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from core.classes import VOC_CLASSES, classes_of
from core.metrics.guard import suspicion
from core.report.language.words import LANGUAGES, Words
from core.training.settings.config import SETTING_TYPES, TrainingConfig
from core.voc import CLASS_NAMES

NARROW = "\N{NARROW NO-BREAK SPACE}"


def braces(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_with_the_same_braces() -> None:
    english, portuguese = (Words(language).texts for language in LANGUAGES)
    assert list(english) == list(portuguese)
    for key, text in english.items():
        assert braces(text) == braces(portuguese[key]), key
    assert all(text.strip() for texts in (english, portuguese) for text in texts.values())


@pytest.mark.parametrize(
    ("language", "foreign"),
    [
        ("en", r"\bimages?\b|photograph|\btrainings\b"),
        (
            "pt",
            r"imagem|imagens|fotografi|void|backbone(?!\))|checkpoint(?!\))|(?<!«)\b(train|val|test)\b|Train|seeds|veredito",
        ),
    ],
)
def test_an_idea_has_one_word_and_portuguese_prose_is_portuguese(language: str, foreign: str) -> None:
    """The Portuguese verdict ended with "(Train, Repeat with seeds)", its legend with "void"."""
    texts = {key: re.sub(r"\{\w+\}", "", text) for key, text in Words(language).texts.items()}
    assert {key: text for key, text in texts.items() if re.search(foreign, text)} == {}


def test_every_setting_has_a_name_in_both_languages() -> None:
    assert list(Words("pt").settings) == list(SETTING_TYPES) == [field.name for field in fields(TrainingConfig)]
    assert Words("en").settings["batch_size"] == "Batch size"
    assert Words("pt").settings["batch_size"] == "Tamanho do lote (batch)"


def test_every_choice_that_the_model_section_writes_out_has_its_words() -> None:
    """A run that started from the starter model had no report: the languages lacked that choice."""
    choices = {field.name: field.metadata["choices"] for field in fields(TrainingConfig)}
    wanted = {f"{name} {choice}" for name in ("init", "geometry") for choice in choices[name]}
    assert all(wanted <= set(Words(language).texts) for language in LANGUAGES)


def test_every_cause_that_the_guard_can_name_has_its_words() -> None:
    import inspect

    from core.metrics import guard

    kinds = set(re.findall(r'return "([a-z ]+)", ', inspect.getsource(guard)))
    assert {"shuffled classes", "mostly void", "untrained"} <= kinds
    assert suspicion is guard.suspicion
    assert {f"cause {kind}" for kind in kinds} == {key for key in Words("en").texts if key.startswith("cause ")}


def test_no_sentence_counts_one_thing_in_the_plural() -> None:
    """Of a split with one image it said "1 images", and of a run with one step an epoch "1 steps"."""
    always_several = {"epochs label", "processes text", "epochs thinned"}
    for language in LANGUAGES:
        counted = {
            key for key, text in Words(language).texts.items()
            if re.search(r"\{(images|count|train|val|steps|stride)\} (\w+ (e|and) )?[^\W\d]+s\b", text)
        }  # fmt: skip
        assert counted <= always_several


@pytest.mark.parametrize(
    ("value", "digits", "en", "pt"),
    [
        (0, 0, "0", "0"),
        (1464, 0, "1,464", f"1{NARROW}464"),
        (2949185, 0, "2,949,185", f"2{NARROW}949{NARROW}185"),
        (1234.56, 1, "1,234.6", f"1{NARROW}234,6"),
        (-0.04, 1, "0.0", "0,0"),
        (-2.25, 2, "−2.25", "−2,25"),
        (None, 1, "–", "–"),
    ],
)
def test_numbers_follow_the_language(value: float | None, digits: int, en: str, pt: str) -> None:
    assert Words("en").number(value, digits) == en
    assert Words("pt").number(value, digits) == pt


def test_fractions_leave_as_percent() -> None:
    en, pt = Words("en"), Words("pt")
    assert (en.percent(0.4321), pt.percent(0.4321)) == ("43.2\N{NO-BREAK SPACE}%", "43,2\N{NO-BREAK SPACE}%")
    assert (en.percent(None), en.per_cent(1.0)) == ("–", "100.0")
    assert [en.points(value) for value in (0.0214, -0.0214, 0.0001, -0.0001)] == ["+2.1", "−2.1", "0.0", "0.0"]
    assert pt.interval(-0.011, 0.0204) == "−1,1 a +2,0"
    assert en.interval(None, 0.1) == "–"
    assert (en.value(0.001), pt.value(0.001), en.value(value=True), pt.value(value=False)) == (
        "0.001",
        "0,001",
        "yes",
        "não",
    )


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.4, "0 s"), (59.6, "1 min"), (75, "1 min 15 s"), (3600, "1 h"), (90_000, "25 h")]
)
def test_durations_have_two_units(seconds: float, written: str) -> None:
    for language in LANGUAGES:
        assert Words(language).duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == written


def test_dates() -> None:
    when = datetime(2026, 12, 1, 18, 7, tzinfo=UTC)
    assert Words("en").moment(when) == "1 December 2026, 18:07"
    assert Words("pt").moment(when) == "1 de dezembro de 2026, 18:07"


def test_lists() -> None:
    assert Words("en").listed(["a"]) == "a"
    assert Words("en").listed(["a", "b", "c"]) == "a, b and c"
    assert Words("pt").listed(["a", "b"]) == "a e b"
    assert Words("pt").listed([]) == ""


def test_classes_that_voc_has_have_names_in_portuguese_and_others_keep_theirs() -> None:
    pt, en = Words("pt"), Words("en")
    assert set(pt._classes) == set(CLASS_NAMES)
    assert len(set(pt.named(VOC_CLASSES).names)) == len(CLASS_NAMES)
    assert en.named(VOC_CLASSES) == VOC_CLASSES
    assert pt.listed_classes(["cat", "tractor", "dog"]) == "gato, tractor e cão"
    both = classes_of(("background", "cat", "gato"))
    assert pt.named(both) == both
