"""Atrous from Python: open a model, segment a photo, evaluate, compare, start a run. docs/python.md has examples.

Paths are `str` or `Path`. What a user can cause is a `CoreError`, whose text says what to do. Nothing is printed: what
is worth a sentence goes to `on_note`, progress to `on_progress`. Torch is imported by the first call that needs it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from core.data.corruptions import CLEAN
from core.data.dataset import TEST, Dataset, open_dataset
from core.data.srgb import to_srgb
from core.errors import CoreError
from core.files import delete_folder, output_folder
from core.jobs import OnProgress
from core.metrics import comparison
from core.metrics.image_scores import losers, score_images, summarize, winners
from core.metrics.verdict import sentence
from core.model.checkpoint.stated import NOTHING, Given
from core.model.photo import open_photo_file
from core.model.predict.tta import NO_TTA, TTA, refuse_temperature
from core.model.weights.pretrained import checkpoint_file, open_named
from core.model.weights.starter import KNOWN_TEXT, is_starter, unknown_classes
from core.training.run import folders, openings, trained_on
from core.training.run.folders import Run
from core.training.run.log import read_log
from core.training.run.milestones import CHOSEN_ON_VAL, is_chosen
from core.training.settings.config import with_settings
from core.training.settings.presets import preset as settings_of
from core.training.settings.presets import usual_preset

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import CheckpointMeta
    from core.model.predict.predictor import Predictor
    from core.model.predict.upsampling import Prediction
    from core.training.evaluation import Scored

__all__ = ["TTA", "Given", "Model", "compare", "evaluate", "evaluate_corrupted", "new_run", "open_model", "start_run"]

OnNote = Callable[[str], None]
"""Takes one sentence at a time."""


def _ignore(_: str) -> None:
    """Drop a note."""


@dataclass(frozen=True)
class Model:
    """An opened checkpoint that segments photos.

    meta     architecture, classes, image size and whatever else the file says
    repairs  what was mended in a file from elsewhere, in words
    tta      test-time augmentation
    temperature  what logits are divided by for calibrated confidence; None for none
    """

    meta: "CheckpointMeta"
    repairs: tuple[str, ...]
    tta: TTA
    _predictor: "Predictor"
    temperature: float | None = None

    @property
    def number_format(self) -> str:
        """The number format: fp32 or bf16, or int8 for a file that was calibrated for it, where that is faster."""
        return self._predictor.precision

    def segment(self, photo: str | Path | Image.Image) -> NDArray[np.uint8]:
        """Return mask_HW of a photo: class ids, uint8, at the upright photo's own size.

        Args:
            photo: a file, or a picture that is open already, of any mode.

        Raises:
            PhotoError: the file cannot be read, is not a photo, or is too large.
        """
        return self._predict(photo).mask_HW

    def predict(self, photo: str | Path | Image.Image) -> "Prediction":
        """Return mask_HW as `segment` does, and confidence_HW: the probability of that class, float32 in [0, 1].

        With a temperature, calibrated_HW is that probability calibrated; nothing else changes.
        """
        return self._predict(photo, with_confidence=True)

    def _predict(self, photo: str | Path | Image.Image, *, with_confidence: bool = False) -> "Prediction":
        from core.model.predict.tiling import segment

        if isinstance(photo, Image.Image):
            is_upright = photo.getexif().get(ExifTags.Base.Orientation, 1) == 1
            rgb = to_srgb(photo if is_upright else ImageOps.exif_transpose(photo))  # which copies a photo in any case
        else:
            rgb = open_photo_file(Path(photo)).photo
        temperature = self.temperature if with_confidence else None
        return segment(self._predictor, rgb, self.tta, with_confidence=with_confidence, temperature=temperature)


def open_model(
    checkpoint: str | Path, *, tta: TTA = NO_TTA, given: Given = NOTHING, temperature: float | str | None = None
) -> Model:
    """Open a checkpoint and make it ready to segment, on the GPU if there is one and no trial was against it.

    Args:
        checkpoint: a file, `starter`, or the name of a model on offer, which is downloaded once.
        tta: test-time augmentation and tiles; none by default.
        given: what a file from elsewhere does not say itself.
        temperature: above 0, for calibrated confidence; `auto` for that fitted by `trust` on held-out photos.

    Raises:
        CheckpointError: the file is not a checkpoint that opens here.
        WeightsError: a model on offer cannot be downloaded.
        ConfigError: the temperature is no such number, or is asked for with test-time augmentation.
        RunError: no temperature is fitted.
    """
    from core.model.predict.predictor import open_predictor
    from core.training import trust

    value = trust.temperature_for(checkpoint, temperature)
    refuse_temperature(tta, value)
    predictor, opened = open_predictor(open_named(checkpoint, given=given), tta)
    return Model(opened.meta, opened.repairs, tta, predictor, value)


def evaluate(
    checkpoint: str | Path,
    data: str | Path | Dataset,
    split: str = "val",
    *,
    masks: str | Path | None = None,
    given: Given = NOTHING,
    on_progress: OnProgress | None = None,
    on_note: OnNote = _ignore,
    by: str = "python",
) -> dict[str, Any]:
    """Score a checkpoint on a split, whole photos at the masks' own size; return what `evaluate --json` prints.

    Scores are fractions in [0, 1], None where a score does not exist. A checkpoint in a run folder keeps the result in
    the run's `eval/`.

    Args:
        checkpoint: as in `open_model`.
        data: a VOCdevkit, a `VOC2012` folder, or any folder with images and masks.
        split: the name of a list of photos. Each evaluation on `test` is recorded as an opening of it.
        masks: a new folder for the predicted masks, PNG of class ids.
        given: as in `open_model`; such a result is not kept.
        on_progress: called with (photos done, photos in all).
        on_note: called with a sentence on whatever was mended, or cannot be scored fairly.
        by: who opens the split `test`, for the record: command, page or python.

    Raises:
        DataError: the data cannot be read, lacks the split, or has other classes than the checkpoint.
        CheckpointError: the file is not a checkpoint that opens here.
        RunError: the opening of a test split cannot be recorded.
    """
    from core.training.evaluation import evaluate_checkpoint

    with output_folder(Path(masks)) if masks else nullcontext() as folder:
        dataset = _opened(data)
        evaluated = evaluate_checkpoint(checkpoint_file(checkpoint), dataset, split, on_progress, given, by=by)
        if folder:
            for result in evaluated.results:
                (folder / f"{result.name}.png").write_bytes(result.mask_png)
    scores = summarize(evaluated.results, dataset.class_names)
    document = {"checkpoint": str(checkpoint), "split": split} | scores.as_dict()
    _note(checkpoint, evaluated.repairs, document, on_note)
    _say_opened(dataset, split, [checkpoint], on_note)
    return document | evaluated.speed()


def evaluate_corrupted(
    checkpoint: str | Path,
    data: str | Path | Dataset,
    split: str = "val",
    *,
    photos: int | None = None,
    given: Given = NOTHING,
    on_progress: OnProgress | None = None,
    on_note: OnNote = _ignore,
    by: str = "python",
) -> dict[str, Any]:
    """Score a checkpoint under corruptions; return what `evaluate --corruptions --json` prints (docs/robustness.md).

    `photos` is the size of the sample, 50 by default; the other arguments and the errors are those of `evaluate`. What
    is stored is not counted again; if `on_progress` raises, the finished cells stay.
    """
    from core.metrics.scores import score
    from core.training import corrupted
    from core.training.run.robustness import PHOTOS

    dataset = _opened(data)
    stored = corrupted.evaluate_corrupted(
        checkpoint_file(checkpoint), dataset, split, on_progress, given, photos=PHOTOS if photos is None else photos,
        on_note=on_note, by=by,
    )  # fmt: skip
    classes = score(stored.counts(CLEAN, 0), stored.class_names).as_dict()["classes"]
    _note(checkpoint, (), {"split": split, "classes": classes}, on_note)
    _say_opened(dataset, split, [checkpoint], on_note)
    return stored.as_dict() | {"checkpoint": str(checkpoint)}


def compare(
    a: str | Path,
    b: str | Path,
    data: str | Path | Dataset,
    split: str = "val",
    *,
    on_progress: OnProgress | None = None,
    on_note: OnNote = _ignore,
    by: str = "python",
) -> dict[str, Any]:
    """Compare checkpoint B with A on the same photos, evaluating what is not yet; return what `compare --json` prints.

    `sentence` is the verdict in words, `verdict` one of better, worse and undecided. `delta_miou` is the mIoU of B less
    that of A, `interval` its 95 % interval from a paired bootstrap over the photos. The arguments and errors are those
    of `evaluate`; `on_progress` counts the photos of both checkpoints.
    """
    from core.training.evaluation import score_checkpoint

    dataset = _opened(data)
    sides: list[Scored] = []

    def count(done: int, total: int) -> None:
        if on_progress:
            on_progress(len(sides) * total + done, 2 * total)

    for checkpoint in (a, b):
        sides.append(score_checkpoint(checkpoint_file(checkpoint), dataset, split, count, on_note, by=by))
        _note(checkpoint, sides[-1].repairs, sides[-1].document, on_note)
    _say_opened(dataset, split, [a, b], on_note)
    of_a, of_b = sides
    found = comparison.compare(of_a.counts_NKK, of_b.counts_NKK)
    images = score_images(of_a.names, of_a.counts_NKK, of_b.counts_NKK)
    return {
        "a": of_a.document,
        "b": of_b.document,
        "delta_miou": found.delta_miou,
        "interval": [found.low, found.high],
        "confidence": found.confidence,
        "resamples": found.resamples,
        "verdict": found.verdict,
        "sentence": sentence(found, *_labels(Path(a), Path(b))),
        "classes": found.as_dict()["classes"],
        "winners": [image.as_dict() for image in winners(images)],
        "losers": [image.as_dict() for image in losers(images)],
    }


def new_run(name: str, data: str | Path, *, preset: str | None = None, **settings: Any) -> Run:
    """Make the folder of a run with its `config.json`; train nothing yet. Arguments and errors are `start_run`'s."""
    preset = preset or usual_preset(Path(data))
    config = with_settings(settings_of(preset), settings)
    dataset = open_dataset(data)
    for split in ("train", "val"):
        dataset.split(split)
    return folders.create_run(name, Path(data), preset, config)


def start_run(name: str, data: str | Path, *, preset: str | None = None, **settings: Any) -> Run:
    """Make a run, start its trainer in a process of its own, and return while it trains.

    `path` of the run is its folder. The trainer outlives this process, and the Train page shows it. It is stopped by a
    file called `stop` in the folder.

    Args:
        name: up to 60 letters, digits, spaces and . _ + -.
        data: as in `evaluate`, with the splits train and val.
        preset: where the settings start; demo for the demo's data, else own-photos.
        settings: what differs from the preset, as in `epochs=30`.

    Raises:
        ConfigError: there is no such preset or setting, or a value is out of its bounds.
        DataError: the data cannot be read, or lack a split.
        RunError: the name cannot name a run, another run is being trained, or the trainer did not begin.
    """
    run = new_run(name, data, preset=preset, **settings)
    with deleted_unless_begun(run):
        folders.start(run)
    return run


@contextmanager
def deleted_unless_begun(run: Run) -> Iterator[None]:
    """Delete the folder of a new run if its training fails before it begins: a run that cannot work leaves nothing."""
    try:
        yield
    except CoreError:
        if not read_log(run.log_path).legs:
            delete_folder(run.path)
        raise


def _opened(data: str | Path | Dataset) -> Dataset:
    return data if isinstance(data, Dataset) else open_dataset(data)


def _note(checkpoint: str | Path, repairs: tuple[str, ...], scores: dict[str, Any], on_note: OnNote) -> None:
    """Say what was mended in a checkpoint, if it was chosen on this split, and what the starter cannot know."""
    for repair in repairs:
        on_note(f"{Path(checkpoint).name}: {repair}.")
    if is_chosen(checkpoint, scores["split"]):
        on_note(CHOSEN_ON_VAL)
    if is_starter(checkpoint) and (unknown := unknown_classes(scores["classes"])):
        classes = ", ".join(unknown)
        on_note(f"{checkpoint} knows {KNOWN_TEXT} alone; these masks also hold {classes}, which it cannot find.")


def _say_opened(data: Dataset, split: str, checkpoints: Sequence[str | Path], on_note: OnNote) -> None:
    """Say on the split test how often it was opened, and which checkpoints trained on photos of it."""
    if split == TEST:
        for said in dict.fromkeys(trained_on.trained_on_test(Path(each), data) for each in checkpoints):
            if said:
                on_note(said)
        on_note(openings.sentence(openings.openings_of(data) or []))


def _labels(a: Path, b: Path) -> tuple[str, str]:
    """Return the names of two files, with their folders if the names are the same."""
    if a.name != b.name:
        return a.name, b.name
    return str(a), str(b)
