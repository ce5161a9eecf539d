"""The commands inspect, export and models."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.commands.document import Add, Document, add_job
from core.data.geometry import GEOMETRIES, HOW
from core.errors import ConfigError
from core.files import refuse_existing
from core.model.weights import starter
from core.terminal import progress_bar, reporting, say
from core.training.run.milestones import CHOSEN_ON_VAL, is_chosen
from core.wording import count

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import OpenedCheckpoint
    from core.model.checkpoint.stated import Given

NAMED = "a file, starter, or the name of a model on offer"


def find_checkpoint(given: Path) -> Path:
    """Return the file of a named checkpoint: a path, the starter, or a model on offer, downloaded if missing."""
    from core.model.weights.pretrained import checkpoint_file

    with progress_bar(f"downloading {given}", "B") as on_progress:
        return checkpoint_file(given, on_progress)


def given_by(arguments: argparse.Namespace) -> "Given":
    """Return the facts on the command line that a file from elsewhere lacks."""
    from core.model.checkpoint.stated import Given, read_class_names

    return Given(
        image_size=arguments.image_size,
        geometry=arguments.geometry,
        output_stride=arguments.output_stride,
        classes=read_class_names(arguments.classes) if arguments.classes else None,
        weights=arguments.weights,
    )


def inspect(arguments: argparse.Namespace) -> Document:
    """Report what a checkpoint file is, whether it opens here, and what had to be repaired."""
    from core.model.weights.pretrained import open_named

    find_checkpoint(arguments.checkpoint)  # shows the progress of a download
    opened = open_named(arguments.checkpoint, given=given_by(arguments))
    opened.build()
    if opened.meta.scores and is_chosen(arguments.checkpoint, "val"):
        say(CHOSEN_ON_VAL)
    return {
        "format": opened.format,
        "architecture": opened.meta.architecture,
        "classes": list(opened.meta.class_names),
        "meta": opened.meta.as_dict(),
        "problems": list(opened.problems),
        "repairs": list(opened.repairs),
        **opened.keys.as_dict(),
    }


def export(arguments: argparse.Namespace) -> Document:
    """Write a checkpoint for other programs, reopen the file and compare its logits."""
    from core.model.checkpoint.export import export as write
    from core.model.weights.pretrained import open_named

    refuse_existing(arguments.out)  # before a model is downloaded, or calibrated
    find_checkpoint(arguments.checkpoint)
    opened = open_named(arguments.checkpoint, given=given_by(arguments))
    for repair in opened.repairs:
        say(f"{arguments.checkpoint.name}: {repair}.")
    whole: Document = {}
    if arguments.int8:
        opened, share = _calibrated(arguments, opened)
        whole = {"int8_agreement": share}
    written = write(opened, arguments.format, arguments.out, half=arguments.half).as_dict() | whole
    meta = opened.meta
    return written | {
        "architecture": meta.architecture,
        "classes": list(meta.class_names),
        "image_size": meta.image_size,
        "geometry": meta.geometry,
        "image_mean": list(meta.image_mean),
        "image_std": list(meta.image_std),
    }


def _calibrated(arguments: argparse.Namespace, opened: "OpenedCheckpoint") -> tuple["OpenedCheckpoint", float]:
    """Return the checkpoint with its calibration on a data set, and the share of pixels that keep their class."""
    from core.data.dataset import open_dataset
    from core.model.checkpoint.export import WEIGHTS
    from core.model.predict.quantization import calibrated

    if arguments.format not in WEIGHTS:
        raise ConfigError(f"int8 is for {' and '.join(WEIGHTS)} alone; export {arguments.format} without --int8.")
    dataset = open_dataset(arguments.int8)
    train, val = ([sample.photo for sample in dataset.split(split)] for split in ("train", "val"))
    with progress_bar("calibrating", "photo") as on_progress:
        return calibrated(opened, train, val, on_progress)


def models(arguments: argparse.Namespace) -> Document:
    """List the models on offer, trained on COCO with VOC's classes, or download one."""
    from core.model.weights.pretrained import MODELS, pretrained_model

    if arguments.download:
        model = pretrained_model(arguments.download)
        with reporting(model.name, "B", arguments.job) as on_progress:
            model.download(on_progress)
    return {"models": [model.as_dict() for model in MODELS]}


def show_inspect(document: Document) -> str:
    """Return a description of a checkpoint."""
    meta = document["meta"]
    classes = count(len(document["classes"]), "class", "classes")
    shape = f"output stride {meta['output_stride']}, {meta['image_size']} px ({meta['geometry']})"
    lines = [
        f"{document['format']}: {document['architecture']}, {classes}, {shape}",
        f"{_place(meta)}, from {' -> '.join(meta['lineage']) or 'unknown'}",
    ]
    mended = zip(document["problems"], document["repairs"], strict=True)
    if (miou := meta["scores"].get("miou")) is not None:
        lines.append(f"mIoU on val {100 * miou:.1f} %")
    lines += [f"  {problem}: {repair}" for problem, repair in mended]
    for kind in ("missing", "dropped"):
        keys = document[kind]
        more = f" and {len(keys) - 8} more" if len(keys) > 8 else ""
        lines += [f"{kind}: {', '.join(keys[:8])}{more}"] if keys else []
    return "\n".join(lines)


def _place(meta: Document) -> str:
    """Return the epoch after which, or within which, a checkpoint was written."""
    if meta["step_in_epoch"] and meta["epoch"] is not None:
        return f"in epoch {meta['epoch'] + 1}, not evaluated"
    return f"epoch {meta['epoch']}"


def show_export(document: Document) -> str:
    """Return the file, its size and input, and the difference of its logits from the checkpoint's."""
    from core.model.checkpoint.export import nearness

    compared = f"logits compared: {nearness(document['difference'], document['agreement'])}"
    wants = f"takes photos in RGB, normalized, {HOW[document['geometry']].format(size=document['image_size'])}"
    lines = [f"{document['format']}, {document['size_bytes'] / 1e6:.0f} MB, {compared}", wants, document["file"]]
    if share := document.get("int8_agreement"):
        lines.insert(1, f"in int8, where that is faster: {100 * share:.2f} % of the tried pixels keep their class")
    return "\n".join(lines)


def show_models(document: Document) -> str:
    """Return a table of the models on offer."""
    lines = [f"{'model':<22}{'size':>8}{'mIoU*':>8}  file"]
    lines += [
        f"{m['name']:<22}{m['size_bytes'] / 1e6:>5.0f} MB{100 * m['miou']:>6.1f} %  "
        f"{m['file'] if m['is_downloaded'] else 'not downloaded yet'}"
        for m in document["models"]
    ]
    lines.append("* reported by torchvision, on COCO's validation photos with VOC's classes")
    if starter.is_there():
        lines.append(f"{starter.NAME} comes with Atrous and needs no download; it knows {starter.KNOWN_TEXT}")
    return "\n".join(lines)


def add_given(command: Any) -> None:
    """Declare the facts that a file from elsewhere may lack."""
    unsaid = command.add_argument_group("facts that a checkpoint from elsewhere lacks")
    unsaid.add_argument("--image-size", type=int, metavar="PX", help="size to which its photos are resized")
    unsaid.add_argument("--geometry", choices=GEOMETRIES, help="whether they are distorted, or fit in a padded square")
    unsaid.add_argument("--output-stride", type=int, choices=(8, 16), help="output stride it was trained with")
    unsaid.add_argument(
        "--classes", metavar="NAMES", help="voc, names between commas, or a file with a name on each line"
    )
    unsaid.add_argument("--weights", choices=("raw", "ema"), help="trained or averaged weights, where it holds both")


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(inspect, show_inspect, "inspect checkpoints/RUN/best.pt")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=NAMED)
    add_given(command)

    command = add(export, show_export, "export checkpoints/RUN/best.pt --format onnx --out best.onnx")
    command.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=NAMED)
    command.add_argument("--format", required=True, metavar="F", help="state-dict, safetensors, onnx or torch-export")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="new file")
    command.add_argument(
        "--int8", type=Path, metavar="DIR",
        help="calibrate on training photos of DIR, so that the file predicts in int8 here (state-dict, safetensors)",
    )  # fmt: skip
    command.add_argument("--half", action="store_true", help="weights in fp16, half the size (state-dict, safetensors)")
    add_given(command)

    command = add(models, show_models, "models --download coco-voc-resnet50")
    command.add_argument("--download", metavar="NAME", help="download this one")
    add_job(command)
