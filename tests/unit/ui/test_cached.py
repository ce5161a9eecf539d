"""What is kept between reruns is read again once the file changes, and a log only as far as it is new."""

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core.classes import VOC_CLASSES
from core.data.analysis import analyse
from core.data.images import write_mask
from core.errors import DataError
from core.free_memory import free_share
from core.model.predict import predictor
from core.model.weights import pretrained
from core.training.run.log import LogWriter, RunLog
from core.training.run.records import Record, Warned, to_line
from core.voc import PALETTE
from tests.app.conftest import CAT, make_pairs
from tests.small_data import replace_quietly
from tests.unit.ui.made_logs import epoch, leg, step
from ui import cached, charts
from ui.charts import Curve, miou_curves
from ui.segment import cached_segments


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_pairs(tmp_path / "voc")


def write(path: Path, *messages: str) -> None:
    writer = LogWriter(path)
    for message in messages:
        writer.write(Warned(message=message))
    writer.close()


def test_a_log_is_followed_from_where_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    taken: list[bytes] = []
    take = RunLog.take
    monkeypatch.setattr(RunLog, "take", lambda self, lines: (taken.extend(lines), take(self, lines))[1])
    write(path, "one", "two")
    assert len(cached.run_log(path).warnings) == 2
    write(path, "three")
    assert [warned.message for warned in cached.run_log(path).warnings] == ["one", "two", "three"]
    assert len(taken) == 3, "each line is read once, however often anyone asks"


def test_a_log_in_the_place_of_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    """A longer log that took the file's place was read from the middle on, and shown as the end of the first."""
    path, other = tmp_path / "log.jsonl", tmp_path / "other.jsonl"
    write(path, "one")
    assert len(cached.run_log(path).warnings) == 1
    write(other, "two", "three")
    other.replace(path)
    assert [warned.message for warned in cached.run_log(path).warnings] == ["two", "three"]


def test_a_log_in_hand_does_not_change(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, "one")
    before = cached.run_log(path)
    write(path, "two")
    cached.run_log(path)
    assert len(before.warnings) == 1


def test_a_dataset_is_read_again_once_a_pair_is_added(voc: Path) -> None:
    assert len(cached.dataset(voc).split("train")) == 4
    assert cached.dataset(voc) is cached.dataset(voc)
    (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("photo_0\n")
    assert len(cached.dataset(voc).split("train")) == 1


def test_an_analysis_counts_until_a_mask_changes(voc: Path) -> None:
    assert cached.analysis(voc) is None
    analyse(voc)
    found = cached.analysis(voc)
    assert found is not None
    assert cached.analysis(voc) is found, "read once"
    assert cached.split_stats(found, "val").classes[CAT].images == 2
    assert cached.split_stats(found, "val") is cached.split_stats(found, "val")
    write_mask(voc / "SegmentationClass" / "photo_4.png", np.zeros((30, 40), dtype=np.uint8))
    assert cached.analysis(voc) is None
    changed = analyse(voc)
    assert cached.split_stats(changed, "val").class_ids == (frozenset({0}), frozenset({0, CAT}))


def test_a_mask_is_reduced_without_new_colours(voc: Path) -> None:
    photo, mask = voc / "JPEGImages" / "photo_0.jpg", voc / "SegmentationClass" / "photo_0.png"
    picture = Image.open(io.BytesIO(cached.thumbnail(photo, mask, classes=VOC_CLASSES, view="mask", size_px=15)))
    inside = np.asarray(picture.convert("RGB"))[2:-2, 2:-2]
    colors = {tuple(color) for color in inside.reshape(-1, 3).tolist()}
    assert colors <= {tuple(PALETTE[k].tolist()) for k in (0, CAT, 255)}


def test_a_strip_holds_three_pictures(voc: Path) -> None:
    photo, mask = voc / "JPEGImages" / "photo_0.jpg", voc / "SegmentationClass" / "photo_0.png"
    strip = Image.open(io.BytesIO(cached.sample_strip(photo, mask, mask, classes=VOC_CLASSES, size_px=48)))
    assert strip.size == (3 * 44 + 2 * 2, 34)  # 40 x 30 px each, framed, two gaps


def test_a_picture_is_drawn_anew_once_its_file_is_another_of_the_same_size_and_time(voc: Path) -> None:
    """Caches were keyed by path, time and size, all of which a copy with `cp -p` leaves as they were."""
    photo = voc / "JPEGImages" / "photo_0.bmp"
    Image.new("RGB", (8, 8), "red").save(photo)
    red, before = photo.read_bytes(), cached.thumbnail(photo, classes=VOC_CLASSES)
    assert cached.thumbnail(photo, classes=VOC_CLASSES) == before
    replace_quietly(photo, red[:-8] + bytes(8))
    assert cached.thumbnail(photo, classes=VOC_CLASSES) != before


def test_a_split_whose_photos_are_replaced_by_black_has_another_fingerprint(voc: Path) -> None:
    """Compare served old scores for a split of BMP files that were all replaced by black ones of the same size."""
    for photo in (voc / "JPEGImages").iterdir():
        Image.open(photo).save(photo.with_suffix(".bmp"))
        photo.unlink()
    data = cached.dataset(voc)
    before = cached.fingerprint(data, "val")
    assert cached.fingerprint(data, "val") == before
    for sample in data.split("val"):
        content = sample.photo.read_bytes()
        replace_quietly(sample.photo, content[:54] + bytes(len(content) - 54))
    assert cached.fingerprint(data, "val") != before


def test_a_picture_that_cannot_be_read_is_named(voc: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jpg"):
        cached.thumbnail(voc / "nothing.jpg", classes=VOC_CLASSES)


# --- figures of a run -------------------------------------------------------------------------------------------------


def long_log(tmp_path: Path, num_steps: int, num_epochs: int, path: str = "log.jsonl") -> RunLog:
    """Return the log of a run after so many steps, one a record, and epochs."""
    log = RunLog(tmp_path / path)
    records: list[Record] = [leg(), *(step(number, float(number)) for number in range(1, num_steps + 1))]
    records += [epoch(number) for number in range(1, num_epochs + 1)]
    log.take(to_line(record).strip().encode() for record in records)
    return log


def test_a_figure_of_epochs_is_drawn_anew_once_there_is_another(tmp_path: Path) -> None:
    """A live tick drew six figures anew, most of which could not have changed: 200 ms every two seconds."""
    first = cached.epoch_figure(charts.miou_figure, long_log(tmp_path, 10, 1))
    assert cached.epoch_figure(charts.miou_figure, long_log(tmp_path, 15, 1)) is first
    assert len(cached.epoch_figure(charts.miou_figure, long_log(tmp_path, 20, 2)).data[0].x) == 2
    other = cached.epoch_figure(charts.miou_figure, long_log(tmp_path, 10, 1, "other.jsonl"))
    assert other is not first, "of another run"
    assert cached.epoch_figure(charts.class_iou_figure, long_log(tmp_path, 10, 1)) is not first


def test_a_figure_of_steps_is_drawn_anew_once_that_can_be_seen(tmp_path: Path) -> None:
    short, next_short = (cached.step_figure(charts.loss_figure, long_log(tmp_path, n, 0)) for n in (100, 101))
    assert (len(short.data[0].x), len(next_short.data[0].x)) == (100, 101), "of a young run, every step"
    long, same, later = (cached.step_figure(charts.loss_figure, long_log(tmp_path, n, 0)) for n in (4000, 4007, 4008))
    assert same is long, "a step more of 4,000 is less than a pixel"
    assert later is not long
    assert later.data[0].x[-1] == pytest.approx(400.8)


def test_curves_beside_are_drawn_anew_once_one_of_them_grew(tmp_path: Path) -> None:
    here, there = long_log(tmp_path, 10, 1), long_log(tmp_path, 10, 1, "other.jsonl")
    first = cached.curves_figure(miou_curves, [Curve("here", here), Curve("there", there)])
    assert cached.curves_figure(miou_curves, [Curve("here", here), Curve("there", there)]) is first
    grown = [Curve("here", here), Curve("there", long_log(tmp_path, 20, 2, "other.jsonl"))]
    assert cached.curves_figure(miou_curves, grown) is not first


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Open nothing, and note the names of the files that were to be opened."""
    names: list[str] = []
    nothing = SimpleNamespace(meta=None, format="", problems=(), repairs=())
    monkeypatch.setattr(pretrained, "open_named", lambda path, **_: names.append(Path(path).name))
    monkeypatch.setattr(predictor, "open_predictor", lambda _: (None, nothing))
    cached_segments._model.clear()
    yield names
    cached_segments._model.clear()


def ask_for(folder: Path, names: str) -> None:
    for name in names:
        cached_segments.loaded_model(folder / name)


def test_three_models_are_kept_and_the_one_least_recently_asked_for_goes(tmp_path: Path, opened: list[str]) -> None:
    ask_for(tmp_path, "abcadab")
    assert opened == [*"abcdb"]


def test_where_memory_is_short_models_are_put_away_before_another_is_opened(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_segments, "free_share", lambda: 0.5)
    ask_for(tmp_path, "ab")
    monkeypatch.setattr(cached_segments, "free_share", lambda: 0.1)
    ask_for(tmp_path, "abcca")
    assert opened == [*"abca"], "what is open stays for whoever asks for it until another is opened"


def test_the_share_that_is_free_is_one() -> None:
    assert 0 < free_share() <= 1
