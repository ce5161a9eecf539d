"""The models to segment with: checkpoints of runs, the starter, models on offer, an uploaded file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core import jobs
from core.classes import Classes
from core.data.geometry import GEOMETRIES
from core.errors import CheckpointError
from core.home import home
from core.model.checkpoint.stated import AVERAGED, MAX_IMAGE_SIZE, NOTHING, RAW, STRIDES, Given, classes_in
from core.model.output.file_names import file_stem
from core.model.weights import starter
from core.model.weights.pretrained import MODELS, PretrainedModel
from core.training import demo_run
from core.uploads import bring
from core.voc import BACKGROUND, CLASS_NAMES, VOID
from core.wording import count, megabytes
from ui import address, cached
from ui.checkpoints import Choice, best_first, list_choices, say_unknown, scored_label, weakness_of
from ui.job_view import BYTES, POLL_S, show_job
from ui.page import showing_errors
from ui.segment import cached_segments
from ui.words import advised_on, code, percent, plain

MOST_NAMED = 6
"""So many classes of a model are named."""
UPLOADED = "file"
"""The name of an uploaded file in the query string; a reload has to upload it again."""

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
MAX_CHECKPOINT_MB = 600
"""The server's limit, `server.maxUploadSize`; larger files are refused whatever the uploader allows."""
STARTER_LABEL = f"Starter: {starter.KNOWN_TEXT.replace(' and', ',')}"
OFFER_NAMES = {
    "deeplabv3_mobilenet_v3_large": "DeepLabV3 MobileNetV3", "deeplabv3_resnet50": "DeepLabV3 ResNet-50",
    "deeplabv3_resnet101": "DeepLabV3 ResNet-101",
}  # fmt: skip

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import CheckpointMeta

FOREIGN_FORMATS = ("state dict", "safetensors")
WEIGHTS = {RAW: "Trained", AVERAGED: "Averaged (EMA)"}


@dataclass(frozen=True)
class ModelOption:
    """A model to choose; `source` is a path or a name."""

    id: str
    label: str
    source: cached_segments.Source
    choice: Choice | None = None
    offer: PretrainedModel | None = None

    @property
    def is_starter(self) -> bool:
        """Whether it is the model that comes with Atrous."""
        return self.source == starter.NAME

    @property
    def stem(self) -> str:
        """The name, without suffix, of files exported from it."""
        is_known = self.choice or self.offer or self.is_starter
        return file_stem(self.id.replace("/", "_") if is_known else self.label)


def list_models() -> list[ModelOption]:
    """Return every model, the likely best for a photo first.

    Checkpoints that learned from photos, highest first; the starter, if its file is there; all other checkpoints; the
    models on offer.
    """
    choices = best_first(list_choices())
    is_drawn = {run.path: demo_run.is_drawn(run) for run in {each.run.path: each.run for each in choices}.values()}
    able = [_is_for_photos(each, is_drawn=is_drawn[each.run.path]) for each in choices]
    first, others = ([_trained(each) for each, is_able in zip(choices, able, strict=True) if is_able is wanted]
                     for wanted in (True, False))  # fmt: skip
    shipped = [ModelOption(starter.NAME, STARTER_LABEL, starter.NAME)] if starter.is_there() else []
    offers = [ModelOption(offer.name, _offer_label(offer), offer.name, offer=offer) for offer in MODELS]
    return [*first, *shipped, *others, *offers]


def _is_for_photos(choice: Choice, *, is_drawn: bool) -> bool:
    """Return whether a checkpoint learned from photos: its score is above the floor, or its classes are its own.

    The starter cannot stand in for classes that it does not know.
    """
    return choice.miou is not None and not is_drawn and (choice.classes.names != CLASS_NAMES or not weakness_of(choice))


def _trained(choice: Choice) -> ModelOption:
    return ModelOption(choice.id, scored_label(choice), str(choice.file), choice=choice)


def _offer_label(offer: PretrainedModel) -> str:
    place = "downloaded" if offer.is_downloaded else f"download {megabytes(offer.size_bytes)}"
    return f"{OFFER_NAMES[offer.architecture]}, trained on COCO photos ({place})"


def ask_model(models: Sequence[ModelOption]) -> ModelOption | None:
    """Ask for a model; None until a file is uploaded. The query string holds the choice."""
    by_id = {model.id: model for model in models} | {UPLOADED: ModelOption(UPLOADED, "Upload a checkpoint file …", "")}
    say_unknown(by_id)
    chosen = st.selectbox(
        "Checkpoint", list(by_id), **address.keyed("checkpoint", by_id, next(iter(by_id)), stays=True),
        format_func=lambda model_id: by_id[model_id].label,
        help="Checkpoints trained on photos, the highest validation mIoU first; the starter, which comes with Atrous; "
        "checkpoints trained on drawn scenes, near the floor or without a score; torchvision's models, which know "
        "VOC's 20 classes without any training here.",
    )  # fmt: skip
    return _ask_file() if chosen == UPLOADED else by_id[chosen]


def ask_other(models: Sequence[ModelOption], first: ModelOption) -> ModelOption | None:
    """Ask for a second model to compare with the first, or None."""
    by_id = {model.id: model for model in models if model.id != first.id}
    say_unknown({*by_id, first.id}, "against", instead="")
    chosen = st.selectbox(
        "Against", list(by_id), index=None, **address.keyed("against", by_id, None),
        format_func=lambda model_id: by_id[model_id].label, placeholder="nothing: one model alone",
        help="A second model for the same photo: where do the two disagree?",
    )  # fmt: skip
    return by_id[chosen] if chosen else None


def _ask_file() -> ModelOption | None:
    """Ask for a checkpoint file, and say what was mended in it."""
    file = st.file_uploader(
        "Checkpoint file", type=SUFFIXES, key="checkpoint_file", max_upload_size=MAX_CHECKPOINT_MB,
        help="PyTorch or safetensors. No code in it is run: a file with pickled objects is refused.",
    )  # fmt: skip
    if file is None:
        return None
    path = bring(home() / "cache" / "checkpoint-uploads", file.name, file.getvalue(), SUFFIXES)
    try:
        opened = cached_segments.loaded_model(path)
        given = ask_given(opened.meta) if opened.format in FOREIGN_FORMATS else NOTHING  # ours describe themselves
        source = cached_segments.GivenFile(str(path), given)
        opened = cached_segments.loaded_model(source)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(path), file.name)) from error
    for problem, repair in zip(opened.problems, opened.repairs, strict=True):
        st.caption(f"{plain(file.name)}: {plain(problem)}; {plain(repair)}.")
    return ModelOption(f"{UPLOADED}:{path.name}", file.name, source)


def is_ready(model: ModelOption) -> bool:
    """Return whether a model can be used now; if not, offer to download it."""
    if model.offer is None or model.offer.is_downloaded:
        return True
    folder = home() / "cache" / f"download-{model.offer.name}"
    if jobs.is_held(folder):
        st.fragment(_show_download, run_every=POLL_S)(folder, model.offer)
        return False
    if error := jobs.error(folder):
        st.error(plain(error), icon=":material/error:")
    st.info(f"{model.label}. It stays on this machine, where torchvision keeps its weights: {code(model.offer.path)}.",
            icon=":material/cloud_download:")  # fmt: skip
    if st.button(f"Download {megabytes(model.offer.size_bytes)}", type="primary", icon=":material/download:",
                 key=f"download {model.id}"):  # fmt: skip
        with st.spinner("Starting …"):
            jobs.start(folder, ["models", "--download", model.offer.name])
        st.rerun()
    return False


def _show_download(folder: Path, offer: PretrainedModel) -> None:
    with showing_errors():
        progress = jobs.progress(folder)
        if progress is None:
            st.rerun()
        show_job(progress, offer.name, "asking the server", BYTES)
        st.caption("It continues if you close this page or stop the server.")


def describe(model: ModelOption) -> None:
    """Say what a model is; the help says what it was trained on."""
    is_what, trained = _description(model)
    st.caption(is_what, help=trained)


def warn_of_demo(models: Sequence[ModelOption]) -> None:
    """Warn, once, that a model was trained on drawn scenes; offer the starter instead."""
    drawn = [model for model in models if model.choice and demo_run.is_drawn(model.choice.run)]
    if not drawn:
        return
    one = "This checkpoint" if len(models) == 1 else plain(drawn[0].label)
    have = "Both checkpoints have" if len(drawn) > 1 else f"{one} has"
    st.info(
        f"{have} been trained on drawn scenes only. On a real photo the mask shows how the tool works, "
        "not what DeepLabV3 can do.",
        icon=":material/draw:",
    )
    if starter.is_there():
        st.button("Use the starter model", icon=":material/auto_awesome:", on_click=address.show,
                  kwargs={"checkpoint": starter.NAME, "against": None})  # fmt: skip


def warn_of_weak(models: Sequence[ModelOption]) -> None:
    """Say of a checkpoint whose score is near the floor why, and what helps."""
    for model in models:
        if model.choice and (weak := weakness_of(model.choice)):
            st.warning(advised_on(model.choice.label, weak.sentence), icon=":material/warning:")


def say_what_it_knows(model: ModelOption, classes: Classes, found: Iterable[int], kept: Iterable[int]) -> None:
    """If the starter found no object in photos, or kept a class that it hardly saw, say which classes it is for.

    `found` and `kept` are the ids of classes before and after abstaining.
    """
    if not model.is_starter:
        return
    names = [classes.names[class_id] for class_id in sorted(set(kept) - {BACKGROUND, VOID})]
    strange = [name for name in names if name not in starter.KNOWN]
    if set(found) <= {BACKGROUND}:
        st.info(
            f"Nothing was found. The starter is for {starter.KNOWN_TEXT}; other things are background to it, or get a "
            "wrong name. For other classes, train a model on your own photos on the Train page.",
            icon=":material/search_off:",
        )
    elif strange:
        st.info(
            f"Do not trust *{plain(', '.join(strange))}* here: the starter is for {starter.KNOWN_TEXT}, and saw VOC's "
            "other classes in too few photos.",
            icon=":material/help:",
        )


def _description(model: ModelOption) -> tuple[str, str | None]:
    """Return what a model is, and how it was trained where that is known."""
    if model.is_starter:
        scarce = "It can name VOC's other classes too, but saw them in too few photos."
        return (
            f"DeepLabV3 EfficientNet-Lite0, for {starter.KNOWN_TEXT}. {scarce}",
            f"`{starter.NAME}`: trained on photos of {starter.KNOWN_TEXT} alone.",
        )
    if model.choice:
        return _description_of_choice(model.choice)
    if model.offer:
        return f"torchvision's {OFFER_NAMES[model.offer.architecture]}. {can_name(CLASS_NAMES)}", (
            f"`{model.offer.name}`: trained on COCO photos of VOC's 20 classes; mIoU {percent(model.offer.miou)} on "
            "COCO's validation photos, by torchvision. Not a score on your data."
        )
    meta = cached_segments.loaded_model(model.source).meta
    scores = (
        f"validation mIoU {percent(meta.scores['miou'])}"
        if meta.scores.get("miou") is not None
        else "no score is known"
    )
    return f"{plain(model.label)}: {meta.architecture}; {scores}. {can_name(meta.class_names)}", None


def can_name(class_names: Sequence[str]) -> str:
    """Return in a sentence which objects a model can name."""
    if tuple(class_names) == CLASS_NAMES:
        return "It can name VOC's 20 classes."
    objects = class_names[1 : 1 + MOST_NAMED]
    more = [f"{len(class_names) - 1 - MOST_NAMED} more"] if len(class_names) - 1 > MOST_NAMED else []
    *first, last = [*objects, *more] or ["nothing but background"]
    return plain(f"It can name {', '.join(first)}{' and ' if first else ''}{last}.")


def _description_of_choice(choice: Choice) -> tuple[str, str]:
    log = cached.run_log(choice.run.log_path)
    num_photos = f"{count(log.legs[-1].num_train_images, 'photo')} of " if log.legs else ""
    return (
        f"{choice.run.config.architecture} {_epochs_and_score(choice)}. {can_name(choice.classes.names)}",
        f"{code(choice.id)}. Trained on {num_photos}{code(choice.run.data)}.",
    )


def _epochs_and_score(choice: Choice) -> str:
    if choice.epoch is not None and choice.is_unfinished:
        return f"saved in epoch {choice.epoch + 1}, not evaluated"
    epochs = "" if choice.epoch is None else f"after {count(choice.epoch, 'epoch')}, "
    return f"{epochs}validation mIoU {percent(choice.miou)}, floor {percent(choice.floor)}"


def ask_given(assumed: "CheckpointMeta") -> Given:
    """Ask for what a file does not say; unchanged values stay assumed."""
    with st.popover("What the file does not say", icon=":material/help:"):
        size_px = st.number_input("Photo size (px)", 1, MAX_IMAGE_SIZE, assumed.image_size, key="given_size",
                                  help="The size to which its training resized photos.")  # fmt: skip
        geometry = st.segmented_control("Geometry", GEOMETRIES, default=assumed.geometry, key="given_geometry",
                                        help="How its training resized photos to a square: both sides, or with their "
                                        "aspect ratio and padding.")  # fmt: skip
        stride = st.segmented_control("Output stride", STRIDES, default=assumed.output_stride, key="given_stride",
                                      help="8 or 16, as it was trained; another one gives a worse mask.")  # fmt: skip
        names = st.text_input("Class names", key="given_classes", placeholder="voc, or names between commas",
                              help="One for each class, the background first; voc for VOC's 21.")  # fmt: skip
        weights = st.segmented_control("Weights", list(WEIGHTS), key="given_weights", format_func=WEIGHTS.__getitem__,
                                       help="Where the file holds both; trained ones unless you choose.")  # fmt: skip
    return Given(
        image_size=size_px if size_px != assumed.image_size else None,
        geometry=geometry if geometry != assumed.geometry else None,
        output_stride=stride if stride != assumed.output_stride else None,
        classes=classes_in(names) if names.strip() else None,
        weights=weights,
    )
