"""The command segment.

It reads all photos first, and checks all names of new files: a broken photo or an existing file ends the command before
anything is written.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core import api
from core.classes import Classes
from core.commands.checkpoints import NAMED, add_given, find_checkpoint, given_by
from core.commands.document import Add, Document
from core.errors import PhotoError
from core.files import refuse_existing, replacing, write_new
from core.model.photo import open_photo_file
from core.palettes import OWN, PALETTES, recolored
from core.terminal import percent, progress_bar, say
from core.training.trust import AUTO, of_checkpoint

POLYGONS_FILE, CSV_FILE = "objects.json", "classes.csv"


def segment(arguments: argparse.Namespace) -> Document:
    """Write the mask and the overlay of photos, each at the photo's own size; nothing is overwritten."""
    from core.model.output.file_names import file_stems
    from core.model.predict.tta import TTA

    tta = TTA(flip=arguments.flip, scales=arguments.scales, tile_px=arguments.tiles)
    stems = file_stems(str(path) for path in arguments.photos)
    _refuse_existing(arguments, stems)
    for path in arguments.photos:  # read twice: a hundred large photos would fill the memory
        for note in open_photo_file(path, stretch=arguments.stretch).notes:
            say(f"{path}: {note}")
    find_checkpoint(arguments.checkpoint)  # shows the progress of a download
    model = api.open_model(
        arguments.checkpoint, tta=tta, given=given_by(arguments), temperature=arguments.temperature
    )  # fmt: skip
    if arguments.temperature == AUTO:
        _say_calibration(arguments.checkpoint)
    _refuse_existing_cutouts(arguments, stems, model.meta.classes)
    make_folder(arguments.out)
    for repair in model.repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    if model.number_format == "int8":
        say(f"{arguments.checkpoint.name} predicts in int8, for which it was calibrated.")
    return _Segmenting(arguments, model).run(stems)


class _Segmenting:
    """Segments photos one after the other and writes the requested files."""

    def __init__(self, arguments: argparse.Namespace, model: api.Model) -> None:
        from core.model.output.coco import CocoFile

        self._arguments, self._model, self._classes = arguments, model, model.meta.classes
        self._shown = recolored(self._classes, arguments.palette)
        self._coco = CocoFile(self._classes) if arguments.polygons else None
        self._areas: list[tuple[str, Any]] = []
        self._written: list[Path] = []

    def run(self, stems: list[str]) -> Document:
        """Segment all photos and return the document; `stems` has one name for each photo, in order."""
        photos: list[Document] = []
        with progress_bar("segmenting", "photo") as on_progress:
            for path, stem in zip(self._arguments.photos, stems, strict=True):
                photos.append(self._segment(path, stem))
                on_progress(len(photos), len(stems))
        temperature = {} if self._model.temperature is None else {"temperature": self._model.temperature}
        return {"photos": photos} | temperature | self._write_for_all()

    def _segment(self, path: Path, stem: str) -> Document:
        from core.model.output.results import cutouts, mask_and_overlay
        from core.model.photo import abstain, class_areas

        began_s = time.perf_counter()
        photo = open_photo_file(path, stretch=self._arguments.stretch).photo
        prediction = self._model.predict(photo)
        mask_HW, confidence_HW = prediction.mask_HW, prediction.confidence_HW
        assert confidence_HW is not None  # noqa: S101 - it was asked for
        if self._arguments.abstain is not None:  # by the confidence in which `trust` counts thresholds
            mask_HW = abstain(mask_HW, confidence_HW, self._arguments.abstain)
        if prediction.calibrated_HW is not None:
            confidence_HW = prediction.calibrated_HW
        areas = class_areas(mask_HW, confidence_HW, self._classes.names)
        mask, overlay = self._write(mask_and_overlay(stem, photo, mask_HW, self._classes, self._shown))
        document: Document = {"file": str(path), "size": list(photo.size), "mask": mask, "overlay": overlay}
        if self._arguments.cutouts:
            document["cutouts"] = self._write(cutouts(stem, photo, mask_HW, self._classes))
        if self._coco:
            self._coco.add(path.name, mask_HW, confidence_HW)
        self._areas.append((path.name, areas))
        if (num_passes := self._model.tta.num_passes(*photo.size)) > 1:
            document["passes"] = num_passes
        return document | {"classes": [vars(area) for area in areas], "seconds": time.perf_counter() - began_s}

    def _write(self, members: Iterable[tuple[str, bytes]]) -> list[str]:
        written = []
        for name, content in members:
            write_new(self._arguments.out / name, content)
            written.append(self._arguments.out / name)
        self._written += written
        return [str(file) for file in written]

    def _write_for_all(self) -> Document:
        """Write the files that cover all photos, and return their paths."""
        from core.model.output.results import areas_csv, write_zip

        document: Document = {}
        if self._coco:
            (document["polygons"],) = self._write([(POLYGONS_FILE, self._coco.to_bytes())])
        if self._arguments.csv:
            (document["csv"],) = self._write([(CSV_FILE, areas_csv(self._areas).encode())])
        if target := self._arguments.zip:
            refuse_existing(target)
            try:
                with replacing(target) as file:
                    write_zip(file, ((written.name, written.read_bytes()) for written in self._written))
            except OSError as error:
                raise PhotoError(f"{target} cannot be written: {error.strerror}; choose another place.") from error
            document["zip"] = str(target)
        return document


def _say_calibration(checkpoint: Path) -> None:
    """Say what the fitted temperature is worth on held-out photos."""
    figures = of_checkpoint(checkpoint)
    if fitted := figures.temperature():
        say(fitted.said(len(figures.names)))


def _refuse_existing(arguments: argparse.Namespace, stems: list[str]) -> None:
    """Raise `PhotoError` if a new file already exists, or the zip's folder does not."""
    names = [f"{stem}_{kind}.png" for stem in stems for kind in ("mask", "overlay")]
    names += [POLYGONS_FILE] if arguments.polygons else []
    names += [CSV_FILE] if arguments.csv else []
    refuse_all(arguments.out / name for name in names)
    if arguments.zip:
        refuse_existing(arguments.zip)
        if not arguments.zip.parent.is_dir():
            raise PhotoError(f"The folder {arguments.zip.parent} for the zip does not exist; create or change it.")


def _refuse_existing_cutouts(arguments: argparse.Namespace, stems: list[str], classes: Classes) -> None:
    from core.model.output.file_names import cutout_name

    if arguments.cutouts:
        named = [(stem, class_id) for stem in stems for class_id in range(1, len(classes))]
        refuse_all(arguments.out / cutout_name(stem, class_id, classes.names[class_id]) for stem, class_id in named)


def refuse_all(files: Iterable[Path]) -> None:
    """Raise `PhotoError` if one of these new files exists."""
    for file in files:
        if file.exists():
            raise PhotoError(f"{file} exists already; choose another --out, nothing is overwritten.")


def make_folder(folder: Path) -> None:
    """Make the folder for new files; one that cannot be made raises `PhotoError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhotoError(f"The folder {folder} cannot be created: {error.strerror}; choose another --out.") from error


def _scales(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _temperature(text: str) -> float | str:
    return text if text == AUTO else float(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def show_segment(document: Document) -> str:
    """Return the classes in each photo, and the files written."""
    lines = []
    for photo in document["photos"]:
        shares = ", ".join(f"{c['name']} {percent(c['share'])}" for c in photo["classes"])
        files = [photo["mask"], photo["overlay"], *photo.get("cutouts", [])]
        lines += [f"{photo['file']}: {shares}", *(f"  {file}" for file in files)]
    return "\n".join(lines + [document[key] for key in ("polygons", "csv", "zip") if key in document])


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(segment, show_segment, "segment photo.jpg --checkpoint checkpoints/RUN/best.pt --out masks")
    command.add_argument("photos", type=Path, nargs="+", metavar="PHOTO", help="all are read before any is segmented")
    command.add_argument("--checkpoint", type=Path, metavar="C", required=True, help=NAMED)
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for masks and overlays")
    command.add_argument(
        "--stretch", action="store_true",
        help="scale greys of more than 8 bits by a photo's own values, as 12-bit cameras' and measurements need it",
    )  # fmt: skip
    add_given(command)
    augmentation = command.add_argument_group(
        "test-time augmentation; each pass takes as long as the first, times the square of its scale"
    )
    augmentation.add_argument("--flip", action="store_true", help="the mirrored photo too, and the mean of both")
    augmentation.add_argument(
        "--scales", type=_scales, metavar="S,S", default=(1.0,), help="the mean over several sizes, as 0.75,1,1.25"
    )
    augmentation.add_argument(
        "--tiles", type=int, metavar="PX", help="overlapping tiles of this many px, for large photos"
    )
    wanted = command.add_argument_group("more output")
    wanted.add_argument(
        "--abstain", type=_fraction, metavar="P", help="void (255) where the confidence is below P, 0 to 1"
    )
    wanted.add_argument(
        "--temperature", type=_temperature, metavar="T",
        help=f"calibrated confidence in the tables: logits divided by T; {AUTO} for what trust has fitted; masks and "
        "--abstain stay as they are",
    )  # fmt: skip
    wanted.add_argument("--cutouts", action="store_true", help="each class cut out of its photo, as PNG with alpha")
    wanted.add_argument("--polygons", action="store_true", help=f"{POLYGONS_FILE}: the objects of all photos, as COCO")
    wanted.add_argument("--csv", action="store_true", help=f"{CSV_FILE}: the classes of all photos and their shares")
    wanted.add_argument("--zip", type=Path, metavar="FILE", help="all written files in one zip as well")
    wanted.add_argument(
        "--palette", choices=PALETTES, default=OWN,
        help="of the overlays: the classes' own, or one for every kind of colour vision; masks keep their own",
    )  # fmt: skip
