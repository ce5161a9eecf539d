"""Names from outside: whatever a photo is called, what is written about it stays in its folder, under its own name."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.model.output.file_names import MAX_STEM_BYTES, cutout_name, file_stem, file_stems

NASTY = st.text(st.sampled_from("ab.-_/\\:* \0\n\u202e\ud800éA2"), max_size=12)
NAMES = st.one_of(st.text(max_size=300), NASTY)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cat.jpg", "cat"),
        ("../../etc/passwd", "passwd"),
        (r"C:\photos\my cat.JPG", "my cat"),
        ("a.b.png", "a.b"),
        ("", "photo"),
        ("..", "photo"),
        ("a/..", "photo"),
        (".hidden.jpg", "hidden"),
        ("what?*.png", "what__"),
        ("nul.jpg", "_nul"),
        ("line\nbreak.jpg", "line_break"),
        ("x" * 999 + ".jpg", "x" * MAX_STEM_BYTES),
        ("\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}.jpg", "\N{LATIN SMALL LETTER E WITH ACUTE}"),
    ],
)
def test_a_stem_is_the_name_without_what_leads_elsewhere(name: str, stem: str) -> None:
    assert file_stem(name) == stem


@given(NAMES, NAMES)
@example("..", "../..")
@example("a\0b", "a/b")
def test_no_name_escapes(name: str, class_name: str) -> None:
    stem = file_stem(name)
    for file in (f"{stem}_mask.png", f"{stem}_overlay.png", cutout_name(stem, 3, class_name)):
        assert file.isprintable()
        assert PurePosixPath(file).name == file == PureWindowsPath(file).name
        assert not PureWindowsPath(file).drive
        assert not file.startswith((".", " "))
        assert len(file.encode()) < 255
        assert (Path("/out") / file).resolve().parent == Path("/out").resolve()


@given(st.lists(NAMES, max_size=12))
@example(["a.jpg", "A.png", "b/a.jpg", "a-2.jpg"])
@example(["a-3.png", "a.png", "b/a.png", "c/a.png", "a-2.png"])
def test_no_two_photos_share_a_file(names: list[str]) -> None:
    stems = file_stems(names)
    assert len(stems) == len(names)
    files = [file for stem in stems for file in (f"{stem}_mask.png", cutout_name(stem, 1, "a_mask"))]
    assert len({file.casefold() for file in files}) == 2 * len(names)


def test_a_name_is_kept_where_it_can_be() -> None:
    assert file_stems(["x/cat.jpg", "dog.png", "y/cat.jpg", "CAT.webp"]) == ["cat", "dog", "cat-2", "CAT-3"]
