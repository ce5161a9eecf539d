"""Files to download: masks, overlays, cut-outs, tables; the way to correct masks; a model for other programs."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from core.data.images import mask_image, png_bytes
from core.errors import CheckpointError, ConfigError
from core.files import unused
from core.model.checkpoint.stated import NOTHING
from core.model.output.coco import CocoFile
from core.model.output.file_names import file_stem, file_stems
from core.model.output.results import Member, areas_csv, cutouts, write_zip
from core.model.photo import ClassArea, class_areas, open_photo
from core.voc import BACKGROUND, VOID
from core.wording import count, megabytes
from ui import address, cached
from ui.downloads import exports_folder, offer
from ui.label.label_data import UPLOAD, Handed, hand_over
from ui.page import showing_errors
from ui.segment.cached_segments import GivenFile, Segmented, Small, Source
from ui.segment.photo_look import Look
from ui.segment.photo_view import Photo
from ui.words import code

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import OpenedCheckpoint

LEAST_SHARE = 0.005
"""A class with a smaller share of each photo is a speck: it is not proposed as a class to label."""

POLYGONS_FILE, CSV_FILE = "objects.json", "classes.csv"


class PhotoFiles(NamedTuple):
    """The files of one segmented photo, as drawn on the screen."""

    stem: str
    photo: Photo
    result: Segmented
    look: Look

    def mask(self) -> Member:
        """Return the index mask, void where the model abstains, hidden classes included."""
        mask_HW = self.look.abstaining(self.result.answers())
        return f"{self.stem}_mask.png", png_bytes(mask_image(mask_HW, self.result.classes.palette))

    def overlay(self) -> Member:
        """Return the overlay on the screen, at the photo's own size."""
        picture = open_photo(self.photo.data, self.photo.name)
        covered = self.look.laid_over(picture, self.result.answers(), self.result.classes)
        return f"{self.stem}_overlay.png", png_bytes(covered)

    def cutouts(self) -> Iterator[Member]:
        """Yield each class on the screen, cut out of the photo."""
        mask_HW = self.look.shown_mask(self.result.answers())
        return cutouts(self.stem, open_photo(self.photo.data, self.photo.name), mask_HW, self.result.classes)

    def areas(self) -> tuple[ClassArea, ...]:
        """Return the classes in the mask, void included where the model abstains."""
        return shown_areas(self.result, self.look)

    def coco(self) -> bytes:
        """Return the objects as a COCO document."""
        coco = CocoFile(self.result.classes)
        self.add_to(coco)
        return coco.to_bytes()

    def add_to(self, coco: CocoFile) -> None:
        """Add the objects to a COCO document."""
        answers = self.result.answers()
        coco.add(self.photo.name, self.look.abstaining(answers), answers.sureness)


def shown_areas(result: Segmented, look: Look) -> tuple[ClassArea, ...]:
    """Return the classes in a mask, void included where the model abstains."""
    if not look.threshold:
        return result.areas
    answers = result.answers()
    confidence_HW = answers.sureness
    return class_areas(look.abstaining(answers), confidence_HW, result.classes.names)


def show_downloads(photo: Photo, result: Segmented, look: Look, source: Source) -> None:
    """Offer the files of one photo, each made when its button is pressed, and to correct its mask."""
    files = PhotoFiles(file_stem(photo.name), photo, result, look)
    offers: tuple[tuple[str, str, Callable[[], bytes], str], ...] = (
        ("Index mask", "mask.png", lambda: files.mask()[1],
         "PNG with one class id per pixel and the classes' colours as its palette, at the photo's own size."),
        ("Overlay", "overlay.png", lambda: files.overlay()[1],
         "The photo with the classes laid over it, at its own size."),
        ("Cut-outs", "cutouts.zip", lambda: zipped(files.cutouts()),
         "Each class cut out of the photo, as PNG with an alpha channel, in a zip."),
        ("Polygons", "objects.json", files.coco,
         "The objects as COCO JSON: polygons, or run lengths where an object has holes."),
        ("Shares", "classes.csv", lambda: areas_csv([(photo.name, files.areas())]).encode(),
         "A table of the classes: pixels, share, mean confidence."),
    )  # fmt: skip
    for label, ending, make, meaning in offers:
        _offer(label, f"{files.stem}_{ending}", make, meaning)
    if not photo.truth:  # else it is of a data set, and has a mask there
        _offer_to_correct([photo], result.areas, source)


def offer_all(
    segmented: Sequence[tuple[Photo, Small]], look: Look, source: Source, segment: Callable[[Photo], Segmented]
) -> None:
    """Offer the files of several photos in one zip, and to correct their masks.

    `segment` is called when the button is pressed.
    """
    photos = [photo for photo, _ in segmented]
    _offer(f"All {count(len(photos), 'photo')}", "segmented.zip", lambda: zipped(all_members(photos, look, segment)),
           "Mask, overlay and cut-outs of every photo, their objects and shares, in one zip.")  # fmt: skip
    _offer_to_correct(photos, [area for _, small in segmented for area in small.areas], source)


def _offer_to_correct(photos: Sequence[Photo], areas: Iterable[ClassArea], source: Source) -> None:
    """Offer to take photos to Label, where the model's masks are proposals to be corrected."""
    checkpoint, given = source if isinstance(source, GivenFile) else (source, NOTHING)
    if given != NOTHING or not st.button(
        f"Correct {'this mask' if len(photos) == 1 else f'these {len(photos)} masks'}", icon=":material/draw:",
        key="correct", help="Copies the photos into a new data set on Label, where the model's masks, of one pass and "
        "without abstaining, are proposals: accept one, and draw on it.",
    ):  # fmt: skip
        return
    objects = [area for area in areas if area.id not in (BACKGROUND, VOID) and area.share >= LEAST_SHARE]
    names = list(dict.fromkeys(area.name for area in objects))
    hand_over(Handed([(photo.name, photo.data) for photo in photos], names, str(checkpoint)))
    # The browser's Back leads to this query: with the number of photos Segment says that they are gone.
    st.switch_page("pages/label.py", query_params=address.as_left("Segment") | {"source": UPLOAD})


def all_members(photos: Sequence[Photo], look: Look, segment: Callable[[Photo], Segmented]) -> Iterator[Member]:
    """Yield every file of every photo, segmenting one after the other."""
    coco, shares = None, []
    for stem, photo in zip(file_stems(photo.name for photo in photos), photos, strict=True):
        files = PhotoFiles(stem, photo, segment(photo), look)
        yield files.mask()
        yield files.overlay()
        yield from files.cutouts()
        coco = coco or CocoFile(files.result.classes)
        files.add_to(coco)
        shares.append((photo.name, files.areas()))
    if coco:
        yield POLYGONS_FILE, coco.to_bytes()
        yield CSV_FILE, areas_csv(shares).encode()


def zipped(members: Iterator[Member]) -> bytes:
    """Return files in a zip."""
    buffer = io.BytesIO()
    write_zip(buffer, members)
    return buffer.getvalue()


def _offer(label: str, name: str, make: Callable[[], bytes], meaning: str) -> None:
    kinds = {"png": "image/png", "zip": "application/zip", "json": "application/json", "csv": "text/csv"}
    offer(label, make, name, kinds[name.rpartition(".")[2]], meaning=meaning)


FORMATS = {
    "state-dict": ("PyTorch state dict", ".pt"),
    "safetensors": ("safetensors", ".safetensors"),
    "onnx": ("ONNX", ".onnx"),
    "torch-export": ("torch.export", ".pt2"),
}
"""The formats of `core.model.checkpoint.export`: label, and suffix of the files."""

FOR_INT8 = ("state-dict", "safetensors")
"""The formats that can hold a calibration for int8."""
INT8_HELP = (
    "A state dict or safetensors with which Atrous predicts in 8-bit integers on a CPU, where a trial shows that as "
    "faster; the weights stay as they are. It is calibrated on up to 24 training photos of the run, and written only "
    "if 99.5 % of the pixels of up to 24 validation photos keep their class."
)
HELP = (
    "State dict and safetensors hold the weights under torchvision's names; ONNX and torch.export hold a program that "
    "needs no torchvision. Each file holds classes, photo size, geometry and normalisation. A model with "
    "geometry fit takes photos resized by their longer side and padded to a square with the mean colour."
)


def offer_export(source: Source, stem: str, data: str | None) -> None:
    """Offer to export a model to a new file, named `stem` with the suffix of its format.

    `data` is the data set that it was trained on, where that is known; then also for int8.
    """
    with st.popover("Export the model", icon=":material/ios_share:"):  # with `help` its tip lay over the button within
        chosen = st.radio("Format", list(FORMATS), key="export format", help=HELP,
                          format_func=lambda name: FORMATS[name][0])  # fmt: skip
        in_int8 = data is not None and st.checkbox(
            "Calibrated for int8", key="export int8", disabled=chosen not in FOR_INT8, help=INT8_HELP
        )
        said = st.container()  # above the button, where the popover is scrolled to
        if st.button("Write the file", key="export", type="primary"):
            with said, showing_errors():
                _export(source, chosen, stem, data if in_int8 and chosen in FOR_INT8 else None)


def _export(source: Source, chosen: str, stem: str, calibrate_on: str | None) -> None:
    """Write the file, calibrated for int8 on a data set if one is given; show its path and what was compared."""
    from core.model.checkpoint.export import export, nearness
    from core.model.weights.pretrained import open_named

    folder = exports_folder()
    path, given = source if isinstance(source, GivenFile) else (source, NOTHING)
    opened, in_int8 = open_named(path, given=given), ""
    if calibrate_on:
        opened, share = _calibrated(opened, calibrate_on)
        in_int8 = (
            f" In int8, {100 * share:.2f} % of the tried pixels keep their class. To see it here, choose *Upload a "
            "checkpoint file* as the checkpoint: it predicts in int8 where a trial shows that as faster."
        )
    with st.spinner("Writing, reopening and comparing …"):
        written = export(opened, chosen, unused(folder / f"{stem}{FORMATS[chosen][1]}"))
    compared = nearness(written.difference, written.agreement)
    st.success(
        f"{code(written.file)}, {megabytes(written.size_bytes)}. Reopened and compared: logits {compared}.{in_int8}",
        icon=":material/check:",
    )


def _calibrated(opened: "OpenedCheckpoint", data: str) -> tuple["OpenedCheckpoint", float]:
    """Return a checkpoint calibrated on a data set, and the share of pixels that keep their class; show the progress.

    Where too few keep it, raise `CheckpointError`: no file is written.
    """
    from core.model.predict.quantization import calibrated

    dataset = cached.dataset(data)
    train, val = ([sample.photo for sample in dataset.split(split)] for split in ("train", "val"))
    bar = st.progress(0.0, "Calibrating …")

    def show(done: int, total: int) -> None:
        bar.progress(done / total, f"Calibrating: {done} of {count(total, 'photo')}")

    try:
        return calibrated(opened, train, val, show)
    except (CheckpointError, ConfigError) as error:
        raise type(error)(f"{str(error).partition(';')[0]}. No file was written: leave int8 off.") from error
    finally:
        bar.empty()
