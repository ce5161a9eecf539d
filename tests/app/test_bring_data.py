"""Bringing data on the Dataset page: recognised, shown, corrected, and imported by a job."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import jobs
from core.__main__ import main
from core.data.images import jpeg_bytes
from core.data.importers import Source, incoming, parse_classes
from core.data.importers.plan import Value
from core.home import datasets_dir
from tests.app.conftest import Visit, button, links, texts
from tests.reads import counted_reads
from tests.small_data import draw_pair, roboflow_export
from ui.dataset.bring_data import options_for
from ui.dataset.import_preview import called_of, table_of


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export on this computer, unpacked."""
    with zipfile.ZipFile(io.BytesIO(roboflow_export())) as archive:
        archive.extractall(tmp_path / "my leaves")
    return tmp_path / "my leaves"


@pytest.fixture
def greys(tmp_path: Path) -> Path:
    """Two folders of photos and masks of 0 and 85, which nothing explains."""
    for number in range(3):
        for folder in ("images", "masks"):
            (tmp_path / "greys" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "greys" / "images" / f"{number}.jpg").write_bytes(jpeg_bytes(draw_pair(number, (40, 30))[0]))
        mask_HW = np.zeros((30, 40), dtype=np.uint8)
        mask_HW[:10, :20] = 85
        Image.fromarray(mask_HW).save(tmp_path / "greys" / "masks" / f"{number}.png")
    return tmp_path / "greys"


def bring(visit: Visit, path: Path, **query: str) -> AppTest:
    return visit("dataset", source="Bring data", **{"from": str(path), **query})


def finish(launched: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what the started process would."""
    monkeypatch.setattr(sys, "argv", ["core", *launched[-1]])
    assert main() == 0


def test_an_uploaded_archive_becomes_a_data_set_that_is_shown(
    visit: Visit, home: Path, launched: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upload, Import, Train on this data: three clicks, and the upload is gone."""
    app = visit("dataset", source="Bring data")
    app.file_uploader[0].set_value(("My leaves.v1.zip", roboflow_export(), "application/zip")).run()
    assert not app.exception
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown == {"Photos": "4", "Classes": "2", "train": "3", "val": "1"}
    assert "**COCO JSON**: _annotations.coco.json" in texts(app)
    assert "The category 'plants' left out" in texts(app)
    assert str(home) not in app.markdown[1].value, "an upload is called as it was"
    assert len(app.get("image")) == 4
    assert all(image.proto.imgs[0].alt.startswith("Masks over") for image in app.get("image"))
    assert "leaf 16.7 %" in app.get("html")[0].proto.body
    assert not datasets_dir().exists(), "nothing is written yet"
    button(app, "Import").click().run()
    out = datasets_dir() / "My-leaves.v1"
    assert launched[0][:2] == ["import", "coco"]
    assert launched[0][3:] == ["--out", str(out), "--job", str(incoming.job_dir("My-leaves.v1"))]
    finish(launched, monkeypatch)
    app.run()
    assert not app.exception
    assert app.query_params["data"] == str(out)
    assert (app.query_params["source"], "from" in app.query_params) == ("A folder", False)
    assert "The category 'plants' left out" in texts(app)
    assert "Train on this data" in links(app)
    assert list((home / "cache" / "uploads").iterdir()) == []


def test_a_folder_is_typed_and_stays(
    visit: Visit, export: Path, launched: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = visit("dataset", source="Bring data")
    app.text_input(key="export").set_value(str(export)).run()
    assert not app.exception
    assert app.query_params["from"] == str(export)
    assert app.text_input(key=f"name {export}").value == "my-leaves"
    app.text_input(key=f"name {export}").set_value("leaves").run()
    button(app, "Import").click().run()
    finish(launched, monkeypatch)
    assert (datasets_dir() / "leaves" / "JPEGImages").is_dir()
    assert (export / "train" / "_annotations.coco.json").exists()
    button(bring(visit, export), "Bring something else").click().run()


def test_a_folder_that_is_no_data_set_can_be_brought(visit: Visit, export: Path) -> None:
    app = visit("dataset", source="A folder", data=str(export))
    assert not app.exception
    assert len(app.error) == 1
    assert "from=" in links(app)["Import it as another tool's export"]


@pytest.mark.parametrize("name", ["../out", "demo", "taken"])
def test_a_name_that_cannot_be_is_refused_and_nothing_started(
    visit: Visit, export: Path, launched: list[list[str]], name: str
) -> None:
    (datasets_dir() / "taken").mkdir(parents=True)
    app = bring(visit, export)
    app.text_input(key=f"name {export}").set_value(name).run()
    button(app, "Import").click().run()
    assert not app.exception
    assert "choose another" in app.error[0].value or "cannot name" in app.error[0].value
    assert launched == []


def test_two_readings_are_offered_and_none_is_taken(visit: Visit, export: Path) -> None:
    (export / "masks").mkdir()
    for photo in sorted((export / "train").glob("*.jpg")):
        Image.new("L", (40, 30), 1).save(export / "masks" / f"{photo.stem}.png")
    app = bring(visit, export)
    assert not app.exception
    assert app.radio[0].options == ["COCO JSON", "Masks of ids"]
    assert (app.radio[0].value, len(app.metric), len(app.button)) == (None, 0, 1)
    app.radio[0].set_value("id-masks").run()
    assert {metric.label: metric.value for metric in app.metric}["Photos"] == "3"
    assert app.query_params["format"] == "id-masks"


def test_what_is_wrong_is_the_sentence_of_the_importer(visit: Visit, tmp_path: Path) -> None:
    app = visit("dataset", source="Bring data")
    app.file_uploader[0].set_value(("torn.zip", b"PK torn", "application/zip")).run()
    assert not app.exception
    assert [error.value for error in app.error] == [
        "torn.zip cannot be unpacked (File is not a zip file); download or export it again."
    ]
    (tmp_path / "odd").mkdir()
    app = bring(visit, tmp_path / "odd")
    assert "is in no format that is recognised" in app.error[0].value
    app.selectbox(key="format").set_value("coco").run()
    assert not app.exception
    assert [error.value.partition(" holds ")[2][:12] for error in app.error] == ["0 JSON files"]
    app = bring(visit, tmp_path / "gone")
    assert app.error[0].value == f"There is no {tmp_path / 'gone'}; name the file or folder of the annotations."


def test_values_that_nothing_explains_are_asked_for(visit: Visit, greys: Path, launched: list[list[str]]) -> None:
    app = bring(visit, greys)
    assert not app.exception
    assert "nothing says what they are" in app.error[0].value
    assert "Import" not in [each.label for each in app.button]
    asked = app.dataframe[0].value
    assert asked["In the export"].tolist() == ["0", "85"]
    assert asked["Class"].tolist() == ["background", ""]
    assert asked["Pixels"].tolist() == ["83.3 %", "16.7 %"]


@pytest.mark.parametrize(("answer", "names"), [("sky", ["sky", "leaf"]), ("background", ["background", "sky"])])
def test_what_0_is_is_asked_where_the_names_do_not_say_it(
    visit: Visit, greys: Path, launched: list[list[str]], answer: str, names: list[str]
) -> None:
    """0 stood as the background in a table of nameless values, although `classes.txt` has names for all of them."""
    for file in (greys / "masks").iterdir():
        mask_HW = np.asarray(Image.open(file))
        Image.fromarray((mask_HW > 0).astype(np.uint8)).save(file)
    (greys / "classes.txt").write_text("sky\nleaf\n")
    app = bring(visit, greys)
    assert "which the names call 'sky' if they start at 0" in app.error[0].value
    assert app.radio[0].options == ["background", "sky"]
    assert (app.radio[0].value, len(app.dataframe)) == (None, 0)
    app.radio[0].set_value(answer).run()
    assert not app.exception
    assert not app.error
    shown = app.dataframe[-1].value
    assert shown["In the export"].tolist() == ["0", "1"]
    assert shown["Class"].tolist() == names
    button(app, "Import").click().run()
    assert f'--classes=[["0", "{answer}"]]' in launched[0]


def test_what_cannot_be_previewed_is_unpacked_once(visit: Visit, greys: Path, tmp_path: Path) -> None:
    """Every click on the page unpacked and read such an archive again."""
    with zipfile.ZipFile(tmp_path / "greys.zip", "w") as archive:
        for file in sorted(greys.rglob("*.*")):
            archive.write(file, file.relative_to(greys))
    with counted_reads() as reads:
        app = bring(visit, tmp_path / "greys.zip")
        assert "nothing says what they are" in app.error[0].value
        before = reads.copy()
        app.run()
        assert "nothing says what they are" in app.error[0].value
    assert before["0.png"] > 0
    assert reads == before


def test_only_corrections_that_the_format_reads_are_offered(visit: Visit, export: Path, greys: Path) -> None:
    labels = [box.label for box in bring(visit, export).selectbox]
    assert labels == ["Format", "Folder of the photos"]
    labels = [box.label for box in bring(visit, greys).selectbox]
    assert labels == ["Format", "Folder of the photos", "Folder of the masks", "Names of"]


def test_a_folder_is_corrected_and_told_to_the_job(visit: Visit, greys: Path, launched: list[list[str]]) -> None:
    (greys / "masks").rename(greys / "second masks")
    for number in range(3):
        (greys / "first masks").mkdir(exist_ok=True)
        Image.new("L", (40, 30), 1).save(greys / "first masks" / f"{number}.png")
    app = bring(visit, greys, format="id-masks")
    assert "choose with --masks" in app.error[-1].value
    app.selectbox(key=f"Folder of the masks {greys}").set_value("first masks").run()
    assert not app.exception
    assert not app.error
    button(app, "Import").click().run()
    assert "--masks=first masks" in launched[0]


def test_an_import_that_runs_or_failed_is_shown_in_every_tab(visit: Visit, export: Path) -> None:
    job = incoming.job_dir("leaves")
    with jobs.running(job) as note:
        note(1, 4)
        note(4, 4)
        app = bring(visit, export, into="leaves")
        assert not app.exception
        assert "Importing leaves: 4 of 4 photos" in texts(app)
        assert [each.label for each in app.button] == ["Stop"]
    (job / "progress.json").write_text(json.dumps({"error": "The photo x.jpg cannot be read."}))
    app = bring(visit, export, into="leaves")
    assert app.error[0].value == "The photo x.jpg cannot be read."
    assert button(app, "Import")
    assert not bring(visit, export, into="../../x").exception


def test_corrections_are_options_of_the_command() -> None:
    called = (("85", "leaf, green #11aa22"), ("-1", "void"))
    source = Source(Path("a.zip"), Path("photos"), None, "-masks", "pet", called)
    options = list(options_for(source))
    assert options[:3] == ["--photos=photos", "--masks=-masks", "--names=pet"]
    assert parse_classes([options[3].removeprefix("--classes=")]) == called


def test_what_was_corrected_is_what_is_called() -> None:
    before = table_of(None, [Value("0", None, 90), Value("85", None, 6), Value("170", None, 4)])
    assert called_of(before, before.copy()) == ()
    after = before.copy()
    after["Class"] = ["background", " leaf ", None]
    after["Void"] = [False, False, True]
    after["Colour"] = ["", "#11aa22", None]
    assert called_of(before, after) == (("0", "background"), ("85", "leaf #11aa22"), ("170", "void"))
    assert isinstance(before, pd.DataFrame)
