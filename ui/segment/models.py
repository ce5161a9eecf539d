"""What photos can be segmented with: the checkpoints of runs, the starter, models on offer, and a file of one's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from core import jobs
from core.data.geometry import GEOMETRIES
from core.errors import CheckpointError
from core.home import home
from core.model.checkpoint.stated import AVERAGED, MAX_IMAGE_SIZE, NOTHING, RAW, STRIDES, Given, classes_in
from core.model.checkpoint.uploads import SUFFIXES, bring
from core.model.output.file_names import file_stem
from core.model.photo.photo_file import ClassArea
from core.model.weights import starter
from core.model.weights.pretrained import MODELS, PretrainedModel
from core.voc import BACKGROUND
from core.wording import count, megabytes
from ui import address, cached
from ui.checkpoints import Choice, best_first, list_choices, scored_label
from ui.job_view import BYTES, POLL_S, show_job
from ui.page import showing_errors
from ui.segment import cached_segments
from ui.segment.takeaway import offer_export
from ui.sources import is_demo
from ui.words import code, percent, plain

BROUGHT = "file"
"""What stands for a file that somebody brought in the query string: the next visit has to bring it again."""

MAX_CHECKPOINT_MB = 600
"""The server's own limit, `server.maxUploadSize`: what is larger it refuses, whatever an uploader says."""
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
class Model:
    """A model to choose: `source` is a path or a name, `choice` or `offer` what is known of it."""

    id: str
    label: str
    source: cached_segments.Source
    choice: Choice | None = None
    offer: PretrainedModel | None = None

    @property
    def is_starter(self) -> bool:
        """Whether it is the one that comes with Atrous."""
        return self.source == starter.NAME

    @property
    def stem(self) -> str:
        """What a file that is made of it is called, without its ending."""
        is_known = self.choice or self.offer or self.is_starter
        return file_stem(self.id.replace("/", "_") if is_known else self.label)


def list_models() -> list[Model]:
    """Return every checkpoint of every run, the best first, the starter, then the models on offer, the smallest first.

    So the starter comes first while no run has a checkpoint. One whose file is missing is not listed.
    """
    trained = [
        Model(choice.id, scored_label(choice), str(choice.file), choice=choice) for choice in best_first(list_choices())
    ]
    shipped = [Model(starter.NAME, STARTER_LABEL, starter.NAME)] if starter.is_there() else []
    offers = [Model(offer.name, _offer_label(offer), offer.name, offer=offer) for offer in MODELS]
    return [*trained, *shipped, *offers]


def _offer_label(offer: PretrainedModel) -> str:
    place = "here" if offer.is_downloaded else f"download {megabytes(offer.size_bytes)}"
    return f"{OFFER_NAMES[offer.architecture]}, trained on COCO photos ({place})"


def ask_model(models: Sequence[Model]) -> Model | None:
    """Ask for a model. The query string holds the choice; None while a file is awaited."""
    by_id = {model.id: model for model in models} | {BROUGHT: Model(BROUGHT, "A checkpoint file of yours …", "")}
    chosen = st.selectbox(
        "Checkpoint", list(by_id), **address.keyed("checkpoint", by_id, next(iter(by_id)), stays=True),
        format_func=lambda model_id: by_id[model_id].label,
        help="Every checkpoint of every run, the highest validation mIoU first; then the starter, which comes with "
        "Atrous, and torchvision's models, which know VOC's 20 classes without any training here.",
    )  # fmt: skip
    return _ask_file() if chosen == BROUGHT else by_id[chosen]


def ask_other(models: Sequence[Model], first: Model) -> Model | None:
    """Ask for a second model to set against the first; None if none is wanted."""
    by_id = {model.id: model for model in models if model.id != first.id}
    chosen = st.selectbox(
        "Against", list(by_id), index=None, **address.keyed("against", by_id, None),
        format_func=lambda model_id: by_id[model_id].label, placeholder="nothing: one model alone",
        help="A second model for the same photo: where do the two disagree?",
    )  # fmt: skip
    return by_id[chosen] if chosen else None


def _ask_file() -> Model | None:
    """Ask for a checkpoint file, and say what the doctor makes of it."""
    file = st.file_uploader(
        "Checkpoint file", type=SUFFIXES, key="checkpoint_file", max_upload_size=MAX_CHECKPOINT_MB,
        help="PyTorch or safetensors. Nothing in it is run: a file that holds pickled objects stays closed.",
    )  # fmt: skip
    if file is None:
        return None
    path = bring(home() / "cache" / "brought", file.name, file.getvalue())
    try:
        opened = cached_segments.loaded_model(path)
        source = cached_segments.GivenFile(str(path), NOTHING if says_itself(opened.format) else ask_given(opened.meta))
        opened = cached_segments.loaded_model(source)
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(path), file.name)) from error
    for problem, repair in zip(opened.problems, opened.repairs, strict=True):
        st.caption(f"{plain(file.name)}: {plain(problem)}; {plain(repair)}.")
    return Model(f"{BROUGHT}:{path.name}", file.name, source)


def is_ready(model: Model) -> bool:
    """Tell whether a model can be used now; of one that is still to be downloaded say so, and offer that."""
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
        st.caption("It goes on when this page or the server is closed.")


def describe(model: Model, other: Model | None) -> None:
    """Say what models are, how good they are, and what they were trained on; offer the first to other programs."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_description(model))
        offer_export(model.source, model.stem)
    if other:
        st.caption(f"Against {_description(other)}")


def warn_of_demo(models: Sequence[Model]) -> None:
    """Say so where models of drawn scenes are asked about a photo; once, where both are."""
    drawn = [model for model in models if model.choice and is_demo(Path(model.choice.run.data))]
    if not drawn:
        return
    one = "This checkpoint" if len(models) == 1 else plain(drawn[0].label)
    have = "Both checkpoints have" if len(drawn) > 1 else f"{one} has"
    st.info(
        f"{have} seen drawn scenes only. On a real photo, such a mask shows the tool at work, "
        "not what DeepLabV3 can do.",
        icon=":material/draw:",
    )


def say_nothing_found(model: Model, areas: Sequence[ClassArea]) -> None:
    """Where the starter found no object in a photo, say what it knows."""
    if model.is_starter and all(area.id == BACKGROUND for area in areas):
        st.info(
            f"Nothing was found. The starter knows {starter.KNOWN_TEXT}, and nothing else: other things are background "
            "to it. A model that knows them is trained on photos of your own, on the Train page.",
            icon=":material/search_off:",
        )


def _description(model: Model) -> str:
    if model.is_starter:
        return f"`{starter.NAME}`: DeepLabV3 EfficientNet-Lite0, trained on photos of {starter.KNOWN_TEXT} alone."
    if model.choice:
        return _description_of_choice(model.choice)
    if model.offer:
        return (
            f"`{model.offer.name}`: torchvision's {OFFER_NAMES[model.offer.architecture]}, trained on COCO photos of "
            f"VOC's 20 classes; mIoU {percent(model.offer.miou)} on COCO's validation photos, by torchvision. Not a "
            "score on your data."
        )
    meta = cached_segments.loaded_model(model.source).meta
    scores = (
        f"validation mIoU {percent(meta.scores['miou'])}"
        if meta.scores.get("miou") is not None
        else "no score is known"
    )
    return f"{plain(model.label)}: {meta.architecture}, {count(len(meta.class_names), 'class', 'classes')}; {scores}."


def _description_of_choice(choice: Choice) -> str:
    log = cached.run_log(choice.run.log_path)
    num_photos = f"{count(log.legs[-1].num_train_images, 'photo')} of " if log.legs else ""
    return (
        f"{code(choice.id)}: {choice.run.config.architecture} {_epochs_and_score(choice)}. Trained on "
        f"{num_photos}{code(choice.run.data)}."
    )


def _epochs_and_score(choice: Choice) -> str:
    if choice.epoch is not None and choice.is_unfinished:
        return f"saved in epoch {choice.epoch + 1}, not evaluated"
    epochs = "" if choice.epoch is None else f"after {count(choice.epoch, 'epoch')}, "
    return f"{epochs}validation mIoU {percent(choice.miou)}, floor {percent(choice.floor)}"


def says_itself(file_format: str) -> bool:
    """Tell whether a file of this format says what it is, as those of this project do."""
    return file_format not in FOREIGN_FORMATS


def ask_given(assumed: "CheckpointMeta") -> Given:
    """Ask for what a file does not say; what is left as it is stays assumed."""
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
