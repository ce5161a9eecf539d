"""Labels that a model doubts: photo, label and suggestion side by side, and a decision about each.

Decisions are kept in the home and go into the repaired copy; masks are not changed here.
"""

from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from core import jobs
from core.data.dataset import Dataset, Sample
from core.data.images import jpeg_bytes, read_mask, read_photo
from core.data.repair.label_decisions import Action, LabelRegion, decide, decided, pair_keys, read_decisions
from core.data.split_view import data_of
from core.errors import DataError
from core.model.output.render import overlay
from core.review.label_errors import Suspicion
from core.review.label_review import Review, job_dir, read_review
from core.study.folder import list_studies
from core.training.run.folders import list_runs
from core.wording import count
from ui.job_view import POLL_S, show_job
from ui.page import link_to, showing_errors
from ui.sources import FOLDER
from ui.words import percent, plain

PER_PAGE = 5
CROP_PX, LEAST_CROP_PX, MARGIN = 280, 96, 0.5
"""The longest side of a crop on the screen, its least side in the photo, and the surroundings as a share of the box."""
OPEN, DECIDED = "To decide", "Decided"
DONE: dict[Action, str] = {"keep": "kept", "take": "the suggestion is taken", "void": "made void"}
WORST = 10


def show_label_review(data: Dataset) -> None:
    """Draw the doubted regions of the last review, or how far a running one is, and the offer to review again."""
    job = job_dir(data.root)
    if jobs.is_held(job):
        st.fragment(_show_progress, run_every=POLL_S)(job)
        return
    if error := jobs.error(job):
        st.error(plain(error), icon=":material/error:")
    review = read_review(data.root)
    _offer_review(data, is_again=review is not None)
    if review:
        _show_review(data, review)


def _show_progress(job: Path) -> None:
    with showing_errors():
        progress = jobs.progress(job)
        if progress is None:
            st.rerun()
        show_job(progress, "Reviewing the labels", "opening the model", "look at a photo")


def _offer_review(data: Dataset, *, is_again: bool) -> None:
    """Ask for the study or run whose models review the labels."""
    trained = [(f"Study {study.name}", study.path, study.plan.data) for study in list_studies()]
    trained += [(f"Run {run.path.name}", run.path, run.data) for run in list_runs() if run.checkpoints()]
    by_other = {label: data_of(Path(path)).resolve() != data.root.resolve() for label, _, path in trained}
    sources = {label: path for label, path, _ in sorted(trained, key=lambda each: by_other[each[0]])}
    st.markdown(
        "A model that did not train on a photo is compared with its mask. A study with folds covers every photo; "
        "a run covers those that are not in its split train. Photos of the split test are left out."
    )
    if not sources:
        st.info("There is no trained model yet; train one on this data first.", icon=":material/model_training:")
        link_to("Train", "Train on this data", run="new")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.selectbox(
            "Reviewed by", list(sources), key=f"labels by {next(iter(sources))}",
            format_func=lambda label: f"{label}, trained on other data" if by_other[label] else label,
        )  # fmt: skip
        if st.button("Review again" if is_again else "Review the labels", icon=":material/fact_check:"):
            with st.spinner("Starting …"):
                jobs.start(job_dir(data.root), ["doctor", str(data.root), "--labels", str(sources[source])])
            st.rerun()


def _show_review(data: Dataset, review: Review) -> None:
    decisions, notes = read_decisions()
    for note in (*review.notes, *notes):
        st.caption(plain(note))
    actions = [decided(each.region, decisions) for each in review.suspicions]
    num_open = actions.count("open")
    st.markdown(
        f"**{count(len(actions), 'region')} doubted** in {count(len(review.qualities), 'photo')} by "
        f"{plain(', '.join(review.models))}; {num_open} to decide. Decisions go into the repaired copy below."
    )
    which = st.segmented_control("Regions", [OPEN, DECIDED], default=OPEN, key="regions", label_visibility="collapsed")
    chosen = [
        (each, action)
        for each, action in zip(review.suspicions, actions, strict=True)
        if (action == "open") == (which != DECIDED)
    ]
    pages = -(-len(chosen) // PER_PAGE)
    page = st.pagination(pages, key=f"regions {which}") if pages > 1 else 1
    samples = {sample.name: sample for its in data.splits.values() for sample in its}
    for suspicion, action in chosen[(page - 1) * PER_PAGE : page * PER_PAGE]:
        with st.container(border=True), showing_errors():
            _show_region(data, samples.get(suspicion.region.photo), suspicion, action)
    if not chosen:
        st.success("Every region is decided." if which != DECIDED else "No region is decided yet.")
    with st.expander("Photos with the poorest labels"):
        rows = [{"Photo": name, "Quality": quality} for name, quality in list(review.qualities.items())[:WORST]]
        st.dataframe(rows, hide_index=True, key="label quality", alt="Photos by the quality of their labels")


def _show_region(data: Dataset, sample: Sample | None, suspicion: Suspicion, action: Action) -> None:
    """Draw one region and the buttons that decide about it."""
    region = suspicion.region
    if sample is None or pair_keys([sample])[sample.name] != region.pair:
        st.caption(f"{plain(region.photo)}: photo or mask have changed since the review; review again.")
        return
    given, suggested = plain(region.class_given), plain(region.class_suggested)
    share = percent(suspicion.pixels / (region.size[0] * region.size[1]))
    st.markdown(
        f"**{given}, or {suggested}?** {plain(region.photo)} · {share} of the photo · score {suspicion.score:.2f}"
        + (f" · *{DONE[action]}*" if action != "open" else "")
    )
    names = ("photo", f"label: {region.class_given}", f"suggestion: {region.class_suggested}")
    for column, picture, name in zip(st.columns(3), _crops(data, sample, region), names, strict=True):
        column.image(picture, plain(name), alt=f"{name}, {region.photo}")
    with st.container(horizontal=True, vertical_alignment="center"):
        options: tuple[tuple[str, Action, str], ...] = (
            (f"Keep {given}", "keep", ":material/check:"),
            (f"Take {suggested}", "take", ":material/swap_horiz:"),
            ("Make it void", "void", ":material/block:"),
        )
        for label, option, icon in options:
            st.button(label, icon=icon, key=f"{option} {region.key}", disabled=option == action,
                      on_click=partial(_decide, region, option, data.root))  # fmt: skip
        if action != "open":
            st.button("Undo", icon=":material/undo:", key=f"open {region.key}",
                      on_click=partial(_decide, region, "open", data.root))  # fmt: skip
        link_to("Label", "Open in Label", source=FOLDER, data=str(data.root), photo=region.photo)


def _decide(region: LabelRegion, action: Action, root: Path) -> None:
    with showing_errors():
        decide(region, action, root)


def _crops(data: Dataset, sample: Sample, region: LabelRegion) -> list[bytes]:
    """Return the photo around a region, with its label and with the suggestion over it, as JPEG."""
    photo, mask_HW = read_photo(sample.photo), read_mask(sample.mask, data.num_classes)
    if region.class_suggested not in data.class_names or mask_HW.shape != region.size:
        raise DataError(f"The classes or the mask of {region.photo} have changed since the review; review again.")
    suggested_HW = np.where(region.is_inside_HW, np.uint8(data.class_names.index(region.class_suggested)), mask_HW)
    left, top, right, bottom = region.box
    beside = max(round(MARGIN * (right - left)), (LEAST_CROP_PX - (right - left)) // 2)
    above = max(round(MARGIN * (bottom - top)), (LEAST_CROP_PX - (bottom - top)) // 2)
    box = (max(0, left - beside), max(0, top - above), min(photo.width, right + beside),
           min(photo.height, bottom + above))  # fmt: skip
    part = photo.crop(box)
    pictures = [part]
    for ids_HW in (mask_HW, suggested_HW):
        inside = ids_HW[box[1] : box[3], box[0] : box[2]]
        pictures.append(overlay(part, inside, data.classes.palette, 0.6).convert("RGB"))
    for picture in pictures:
        picture.thumbnail((CROP_PX, CROP_PX), Image.Resampling.LANCZOS)
    return [jpeg_bytes(picture) for picture in pictures]
