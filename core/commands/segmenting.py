"""The command that segments photos."""

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

from core import terminal
from core.classes import Classes
from core.commands.checkpoints import find_checkpoint
from core.commands.document import Add, Document
from core.errors import PhotoError
from core.terminal import progress_bar, say


def segment(arguments: argparse.Namespace) -> Document:
    """Write the mask and the overlay of photos, each at the photo's own size."""
    from core.model.predictor import open_predictor
    from core.model.pretrained import open_named

    targets = _targets(arguments.photos, arguments.out)
    for path in arguments.photos:
        _read_photo(
            path
        )  # all are read before any is written, but not all kept: a hundred large photos fill the memory
    find_checkpoint(arguments.checkpoint)  # which shows how far a download is
    predictor, opened = open_predictor(open_named(arguments.checkpoint))
    _make_folder(arguments.out)
    for repair in opened.repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    with progress_bar("segmenting", "photo") as on_progress:
        documents = []
        for path, (mask, overlay) in zip(arguments.photos, targets, strict=True):
            began_s = time.perf_counter()
            photo = _read_photo(path)
            classes = _segment_photo(predictor, photo, opened.meta.classes, mask, overlay)
            about = {"file": str(path), "size": list(photo.size), "mask": str(mask), "overlay": str(overlay)}
            documents.append(about | {"classes": classes, "seconds": time.perf_counter() - began_s})
            on_progress(len(documents), len(arguments.photos))
    return {"photos": documents}


def _read_photo(path: Path) -> Any:
    from core.model.photo import open_photo

    try:
        return open_photo(path.read_bytes(), str(path))
    except OSError as error:
        raise PhotoError(f"The photo {path} cannot be read: {error.strerror}; check its name.") from error


def _targets(photos: list[Path], folder: Path) -> list[tuple[Path, Path]]:
    """Name the files to write after the photos; nothing that exists is overwritten."""
    stems: list[str] = []
    for path in photos:
        names = itertools.chain([path.stem], (f"{path.stem}-{number}" for number in itertools.count(2)))
        stems.append(next(name for name in names if name not in stems))
    targets = [(folder / f"{stem}_mask.png", folder / f"{stem}_overlay.png") for stem in stems]
    for file in (file for pair in targets for file in pair):
        if file.exists():
            raise PhotoError(f"{file} exists already; choose another --out, nothing is overwritten.")
    return targets


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PhotoError(f"The folder {folder} cannot be made: {error.strerror}; choose another --out.") from error


def _segment_photo(predictor: Any, photo: Any, classes: Classes, mask: Path, overlay: Path) -> Any:
    from core.data.images import png_bytes, write_mask
    from core.files import replacing
    from core.model.photo import class_areas
    from core.model.render import overlay as lay_over

    prediction = predictor.predict(photo, with_confidence=True)
    write_mask(mask, prediction.mask_HW, classes.palette)
    with replacing(overlay) as file:
        file.write(png_bytes(lay_over(photo, prediction.mask_HW, classes.palette)))
    return [vars(area) for area in class_areas(prediction.mask_HW, prediction.confidence_HW, classes.names)]


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(segment, terminal.show_segment, "segment photo.jpg --checkpoint checkpoints/RUN/best.pt --out masks")
    command.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    command.add_argument("--checkpoint", type=Path, metavar="C", required=True, help="a file, or a model on offer")
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for masks and overlays")
