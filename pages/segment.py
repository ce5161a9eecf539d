"""Segment: what a checkpoint sees in a photo, at the photo's own size. Photos stay in memory and are never written."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core.model.photo import SUFFIXES
from core.training import runs
from ui import cached
from ui.checkpoints import Choice, best_first, list_choices, scored_label
from ui.legend import show_areas
from ui.page import link_to, open_page
from ui.photo_view import SHOWN_PX, SIDE_BY_SIDE, Photo, ask_view, show_downloads, show_pictures
from ui.sources import is_demo
from ui.words import count, percent

OWN, SAMPLE = "Your photos", "Sample"


def say_what_is_missing() -> None:
    """Say why nothing can be segmented yet, and where to go."""
    if live := runs.live_runs():
        st.info(f"{live[0].name} is being trained; photos can be segmented once its first checkpoint is written.")
    else:
        st.info("There are no checkpoints yet: train a run first, for instance the demo.")
    link_to("Train", "Go to Train")


def ask_checkpoint(choices: Sequence[Choice]) -> Choice:
    """Ask for a checkpoint. The query string holds the choice; the widget takes its value from there."""
    by_id = {choice.id: choice for choice in best_first(choices)}
    wanted = st.query_params.get("checkpoint")
    st.session_state["checkpoint"] = wanted if wanted in by_id else next(iter(by_id))
    chosen = st.selectbox(
        "Checkpoint", list(by_id), key="checkpoint", format_func=lambda choice_id: scored_label(by_id[choice_id]),
        on_change=keep_choice, help="Every checkpoint of every run, the highest validation mIoU first.",
    )  # fmt: skip
    return by_id[chosen]


def keep_choice() -> None:
    """Write the chosen checkpoint to the query string."""
    st.query_params["checkpoint"] = st.session_state["checkpoint"]


def ask_photo(choice: Choice) -> Photo | None:
    """Ask for photos of one's own or for a sample; of several, for the one to look at."""
    source = st.segmented_control("Photo from", [OWN, SAMPLE], default=OWN, required=True, key="photo_source")
    if source == SAMPLE:
        return ask_sample(choice)
    files = st.file_uploader(
        "Your photos", type=SUFFIXES, accept_multiple_files=True, key="photos", label_visibility="collapsed",
        help="They stay on this machine, in memory, while this page is open, and are never written to disk.",
    )  # fmt: skip
    if not files:
        return None
    numbered = {f"{number}. {file.name}": file for number, file in enumerate(files, start=1)}
    first, *others = numbered
    shown = numbered[st.pills("Show", list(numbered), default=first, required=True) if others else first]
    return Photo(shown.name, shown.getvalue())


def ask_sample(choice: Choice) -> Photo:
    """Ask for a validation photo of the data that the checkpoint's run was trained on."""
    data = cached.dataset(choice.run.data)
    samples = {sample.name: sample for sample in data.split("val")}
    name = st.selectbox("Validation photo", list(samples), key="sample", help="No checkpoint was trained on these.")
    path, mask = samples[name].photo, samples[name].mask
    truth = cached.thumbnail(path, mask, classes=data.classes, view="mask", size_px=SHOWN_PX)
    return Photo(path.name, path.read_bytes(), truth)


def describe(choice: Choice) -> None:
    """Say what the checkpoint is, how good it is, and what it was trained on, as its run's log tells."""
    log = cached.run_log(choice.run.log_path)
    num_photos = f"{count(log.legs[-1].num_train_images, 'photo')} of " if log.legs else ""
    epochs = "" if choice.epoch is None else f"after {count(choice.epoch, 'epoch')}, "
    st.caption(
        f"`{choice.id}`: {choice.run.config.architecture} {epochs}validation mIoU {percent(choice.miou)}, floor "
        f"{percent(choice.floor)}. Trained on {num_photos}`{choice.run.data}`."
    )


def act_and_show(choice: Choice, photo: Photo) -> None:
    """Segment the photo and show its overlay, its classes and the downloads."""
    result = cached.segmented(choice.file, photo.data, photo.name)
    if not photo.truth and is_demo(Path(choice.run.data)):
        st.info(
            "This checkpoint has seen drawn scenes only. On a real photo, its mask shows the tool at work, "
            "not what DeepLabV3 can do.", icon=":material/draw:",
        )  # fmt: skip
    view = ask_view()
    left, right = (st, st) if view.kind == SIDE_BY_SIDE else st.columns([2, 1], gap="medium")
    with left.container():
        show_pictures(photo, result, view)
    with right.container():
        show_areas(result.areas, result.classes)
        show_downloads(photo, result, view.opacity)
        for repair in cached.loaded_model(choice.file).repairs:
            st.caption(f"The checkpoint is not one of ours: {repair}.")


def main() -> None:
    """Ask for a checkpoint and a photo, segment, show."""
    st.title("Segment", anchor=False)
    choices = list_choices()
    if not choices:
        say_what_is_missing()
        return
    choice = ask_checkpoint(choices)
    describe(choice)
    photo = ask_photo(choice)
    if photo:
        act_and_show(choice, photo)


with open_page("Segment"):
    main()
