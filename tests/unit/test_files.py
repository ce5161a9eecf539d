"""What is written appears whole, with the usual rights; what is read is a file; numbers in names are numbers."""

import random

from core.files import by_number


def test_names_are_sorted_by_their_numbers() -> None:
    """As text, 1000 comes before 200, and fold_10 before fold_2."""
    names = [
        "",
        "7",
        "07",
        "007_b",
        "10",
        "a",
        "a1",
        "a1_2",
        "a1_10",
        "a2",
        "a999",
        "a1000",
        "b",
        "b²",
        "fold_2",
        "fold_10",
    ]
    assert sorted(random.Random(0).sample(names, len(names)), key=by_number) == [
        "", "07", "7", "007_b", "10", "a", "a1", "a1_2", "a1_10", "a2", "a999", "a1000", "b", "b²", "fold_2", "fold_10",
    ]  # fmt: skip


def test_a_number_of_any_length_is_sorted() -> None:
    """Python turns no text of more than 4,300 digits into a number."""
    assert sorted(["x" + "9" * 5000, "x" + "1" * 5001, "x3"], key=by_number) == [
        "x3",
        "x" + "9" * 5000,
        "x" + "1" * 5001,
    ]
