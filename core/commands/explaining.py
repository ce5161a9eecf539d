"""The command explain: why a pixel of a photo got its class."""

import argparse
import re
import time
from pathlib import Path

from core.commands.checkpoints import NAMED, add_given, find_checkpoint, given_by
from core.commands.document import Add, Document
from core.commands.segmenting import make_folder, refuse_all
from core.files import write_all_new
from core.model.photo import open_photo_file
from core.terminal import say


def explain(arguments: argparse.Namespace) -> Document:
    """Say why a pixel of a photo got its class: pictures of the evidence, and figures; nothing is overwritten."""
    from core.data.images import png_bytes
    from core.explain.evidence import evidence
    from core.explain.explaining import explain as explained_at
    from core.explain.kinds import KINDS
    from core.explain.tracing import explainable
    from core.model.output.file_names import file_stem
    from core.model.predict.predictor import open_predictor
    from core.model.weights.pretrained import open_named

    stem = file_stem(str(arguments.photo))
    files = {kind: arguments.out / f"{stem}_{kind}.png" for kind in KINDS}
    refuse_all(files.values())
    noted = open_photo_file(arguments.photo)
    for note in noted.notes:
        say(f"{arguments.photo}: {note}")
    find_checkpoint(arguments.checkpoint)  # shows the progress of a download
    predictor, opened = open_predictor(open_named(arguments.checkpoint, given=given_by(arguments)))
    for repair in opened.repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    model = explainable(opened, predictor)
    began_s = time.perf_counter()
    explanation = explained_at(model, noted.photo, arguments.at, whole_object=arguments.object)
    seconds = time.perf_counter() - began_s
    parts = evidence(explanation, noted.photo)
    make_folder(arguments.out)
    write_all_new({files[part.kind]: png_bytes(part.picture) for part in parts if part.picture})
    return {
        "photo": str(arguments.photo),
        "size": list(noted.photo.size),
        "checkpoint": str(arguments.checkpoint),
        "at": list(arguments.at),
        "class": explanation.class_name,
        "evidence": [
            {
                "kind": part.kind,
                "file": str(files[part.kind]) if part.picture else None,
                "shows": part.shows,
                "does_not_show": part.does_not_show,
            }
            for part in parts
        ],
        "figures": explanation.figures(),
        "seconds": seconds,
    }


def show_explain(document: Document) -> str:
    """Return the class, and what each picture shows and does not."""
    figures = document["figures"]
    x, y = document["at"]
    probability = f"probability {figures['probability']:.1%}, then {figures['runner_up']}"
    lines = [f"{document['class']} at {x},{y}: {probability}"]
    for part in document["evidence"]:
        lines += [part["file"] or part["kind"], f"  {part['shows']}", f"  {part['does_not_show']}"]
    return "\n".join(lines)


def _pixel(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d+,\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a pixel; give X,Y, such as 200,150")
    x, y = (int(part) for part in text.split(","))
    return x, y


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(explain, show_explain, "explain photo.jpg --checkpoint starter --at 200,150 --out why")
    command.add_argument("photo", type=Path, metavar="PHOTO", help="any photo that segment takes")
    command.add_argument("--checkpoint", type=Path, metavar="C", required=True, help=NAMED)
    command.add_argument(
        "--at",
        type=_pixel,
        metavar="X,Y",
        required=True,
        help="a pixel of the upright photo, from 0,0 at its upper left",
    )
    command.add_argument("--out", type=Path, metavar="DIR", required=True, help="folder for the pictures")
    command.add_argument("--object", action="store_true", help="explain all connected pixels of its class, not one")
    add_given(command)
