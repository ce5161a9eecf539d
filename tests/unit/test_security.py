"""Nobody from outside gets in: names that come from elsewhere stay in their folder."""

import base64
import io
import json
import string
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.data.dataset import open_dataset
from core.data.doctor.problems import Entry
from core.data.importers.formats import import_data
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PhotoFolder
from core.data.repair.repaired_copy import new_names
from core.data.voc2012 import unpack_voc, voc_dir
from core.errors import DataError, RunError
from core.model.output.file_names import file_stem
from core.training.run.edits import rename
from core.training.run.folders import create_run, list_runs, open_run
from core.training.settings.presets import preset
from tests.small_data import write_voc
from ui.compare import image_filter
from ui.dataset import browser

HOSTILE = (
    "../x", "..", ".", "/etc/passwd", "a/../../b", "..\\x", "C:\\x", "~root", "x\0y", "x\ny", "a" * 300, "-rf", "", " ",
    ".hidden",
)  # fmt: skip
"""Names that would leave their folder, or a terminal's line, if anybody joined or printed them unchecked."""

NAMES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(st.sampled_from(string.ascii_letters + "./\\~ -_\0\n:"), max_size=20),
)

# --- names and paths ------------------------------------------------------------------------------------------------


def is_one_part(name: str) -> bool:
    """Tell whether a name is that of a file in whatever folder it is joined to."""
    return bool(name) and not set(name) & set("/\\\0") and name not in (".", "..") and Path(name).name == name


@settings(deadline=None)
@given(NAMES)
def test_a_run_is_made_in_its_folder_or_refused(name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoints"
        try:
            run = create_run(name, Path("data"), "demo", preset("demo"), folder=folder)
        except RunError:
            assert list(Path(place).iterdir()) == []
        else:
            assert run.path.parent == folder.resolve()
            assert is_one_part(run.path.name)
            assert list(Path(place).iterdir()) == [folder]


@settings(deadline=None, max_examples=50)
@given(NAMES)
def test_a_run_renamed_stays_where_it_is(name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        run = create_run("first", Path("data"), "demo", preset("demo"), folder=Path(place) / "checkpoints")
        try:
            assert rename(run, name).path == run.path
        except RunError:
            assert open_run(run.path).name == "first"
        assert [found.path for found in list_runs(run.path.parent)] == [run.path]


@pytest.mark.parametrize("name", ["![](http://elsewhere/x.png)", "../x", 7, None])
def test_a_folder_from_elsewhere_is_no_run_under_a_name_that_nobody_can_give(tmp_path: Path, name: object) -> None:
    """The name of a run is drawn as a heading; one of a folder that was copied here could be a picture to fetch."""
    run = create_run("first", Path("data"), "demo", preset("demo"), folder=tmp_path)
    about = json.loads((run.path / "config.json").read_text())
    (run.path / "about.json").write_text(json.dumps({"schema": 1, "name": name, "note": ""}))
    assert open_run(run.path).name == "first"
    (run.path / "config.json").write_text(json.dumps(about | {"name": name}))
    with pytest.raises(RunError, match=r"config\.json"):
        open_run(run.path)


@given(NAMES)
def test_a_download_is_called_after_the_photo_and_nothing_above_it(name: str) -> None:
    stem = file_stem(name)
    assert stem
    assert not set(stem) & set("/\\")
    assert Path(f"{stem}_mask.png").name == f"{stem}_mask.png"


@given(st.lists(NAMES.filter(bool), max_size=8, unique=True))
def test_the_names_of_a_repaired_copy_stay_in_it(names: list[str]) -> None:
    given_names = new_names([Entry(name, (), None, None) for name in names])
    assert set(given_names) == set(names)
    assert all(Path(f"{new}.png").name == f"{new}.png" and "\\" not in new for new in given_names.values())
    assert len({new.casefold() for new in given_names.values()}) == len(names)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> PhotoFolder:
    """A folder with a photo, and a photo beside it that nobody named."""
    place = tmp_path_factory.mktemp("photos")
    for file in (place / "in" / "sub" / "a.jpg", place / "secret.jpg"):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(file)
    return PhotoFolder(place / "in", Notes())


@given(path=st.one_of(NAMES, st.sampled_from(("../secret.jpg", "sub/../../secret.jpg", "secret.jpg", "sub\\a.jpg"))))
def test_a_path_in_an_annotation_is_compared_and_never_followed(photos: PhotoFolder, path: str) -> None:
    found = photos.find(path)
    assert found is None or found.resolve().is_relative_to(photos.root.resolve())


JPEG = io.BytesIO()
Image.new("RGB", (6, 4), (90, 120, 30)).save(JPEG, "JPEG")
TRIANGLE = [[0, 0], [5, 0], [5, 3]]


@settings(deadline=None, max_examples=40)
@given(NAMES)
def test_what_is_imported_stays_in_the_new_folder_and_opens(name: str) -> None:
    """labelme carries the photo in its JSON, and the name of its file as whatever was typed there."""
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "labels", Path(place) / "out"
        source.mkdir()
        shape = {"label": "cat", "shape_type": "polygon", "points": TRIANGLE}
        sheet = {"imagePath": name, "imageData": base64.b64encode(JPEG.getvalue()).decode(), "shapes": [shape]}
        for number in (1, 2):
            shape["points"] = [[x * number / 2, y] for x, y in TRIANGLE]
            sheet["imageData"] += "\n"  # another photo, as far as anybody can tell
            (source / f"{number}.json").write_text(json.dumps(sheet))
        import_data("labelme", source, out)
        assert sorted(path.name for path in Path(place).iterdir()) == ["labels", "out"]
        found = [sample for samples in open_dataset(out).splits.values() for sample in samples]
        assert len(found) == 2
        assert all(sample.photo.parent.parent == sample.mask.parent.parent == out.resolve() for sample in found)


# --- a tar ----------------------------------------------------------------------------------------------------------


def tar_of(folder: Path, file: Path, *strange: tarfile.TarInfo) -> Path:
    """Pack a VOC2012 folder, with members that VOC does not have."""
    with tarfile.open(file, "w") as archive:
        archive.add(folder, "VOCdevkit/VOC2012")
        for member in strange:
            member.size = 4 if member.isreg() else 0
            archive.addfile(member, io.BytesIO(b"evil") if member.isreg() else None)
    return file


def member_of(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name.encode(errors="replace").decode())
    member.type = kind
    member.linkname = target if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return member


MEMBERS = st.builds(
    member_of,
    st.one_of(
        NAMES.filter(lambda name: bool(name.strip("\0")) and "\0" not in name),
        st.sampled_from(("VOCdevkit/VOC2012/JPEGImages/../../../../x", "VOCdevkit/VOC2012/JPEGImages/e.jpg")),
    ),
    st.sampled_from((tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)),
    st.sampled_from(("/etc/passwd", "../../x", "a.jpg")),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(MEMBERS, min_size=1, max_size=3))
def test_a_tar_writes_nothing_outside_its_folder(members: list[tarfile.TarInfo]) -> None:
    """All of VOC or nothing, whatever else is packed with it: paths upwards, links, devices."""
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        home = Path(place) / "home"
        patch.setenv("ATROUS_HOME", str(home))
        tar = tar_of(write_voc(Path(place) / "made"), Path(place) / "voc.tar", *members)
        before = sorted(Path(place).rglob("*"))
        try:
            unpack_voc(tar)
        except DataError:
            left = [path for path in home.rglob("*") if path.is_file() and path.name != "lock"]
            assert left == []
        else:
            root = voc_dir().resolve()
            assert all(path.resolve().is_relative_to(root) for path in root.rglob("*"))
            assert not [path for path in root.rglob("*") if path.is_symlink()]
        assert [path for path in sorted(Path(place).rglob("*")) if not path.is_relative_to(home)] == before


# --- the query string -----------------------------------------------------------------------------------------------


@given(st.one_of(st.text(max_size=60), st.from_regex(r"[a-z]+[:.,-][0-9]{1,30}([.,-][0-9a-z]*)*", fullmatch=True)))
def test_any_query_string_is_a_filter(text: str) -> None:
    """Who follows a link from elsewhere sees all images, or some, and never a traceback."""
    assert isinstance(browser.parse(text, 21), browser.PhotoFilter)
    assert isinstance(image_filter.parse(text, 21), image_filter.ImageFilter | None)
