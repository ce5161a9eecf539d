"""What to label: a data set, a folder of photos, uploads, or photos from Segment; photos become a new data set.

And files for other tools.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from core.classes import Classes
from core.data import voc2012
from core.data.dataset import LAYOUTS, PLACES, UnlabelledError
from core.data.exporters.export import NEXT_STEPS, export_labels
from core.data.importers.incoming import proposed_name
from core.data.labelling import LabelSet, mask_findings, new_label_set, open_label_set, photos_in
from core.errors import CoreError, DataError
from core.files import unused
from core.home import datasets_dir, demo_dir
from core.model.photo import SUFFIXES
from core.palettes import new_colors
from core.review import proposing
from core.wording import count
from ui import address, cached
from ui.downloads import exports_folder
from ui.page import link_to, say_lost_uploads, showing_errors
from ui.pictures import show_picture
from ui.sources import DEMO, FOLDER, VOC, ask_source, checked_path, data_of, is_there, title_of
from ui.words import code, plain

UPLOAD = "Upload photos"
"""Beside the usual sources."""
MAX_UPLOADED, MAX_PHOTO_MB = 200, 30
"""Uploads are in memory until the data set is made; more photos come as a folder."""
FIRST_CLASS, BLACK = "object", "#000000"
"""The class that is proposed for photos of a person's own, and the colour of the background."""
CLASSES_HELP = "Background and void are there already. Classes can be added and renamed at any time."
NUM_SHOWN, SHOWN_PX = 8, 240
"""Photos that are shown before anything is asked, and their longer side."""
TOOLS = {"cvat": "CVAT", "label-studio": "Label Studio"}
ENDINGS = {"cvat": ".zip", "label-studio": ".json"}
MASKS, PROPOSALS = "Your masks", "Proposals"
MOST_NAMED = 3
"""Findings that a line names."""
_SKIPPED, _UPLOADS, _HANDED = "skipped photos", "label uploads", "photos to correct"


class Upload(NamedTuple):
    """An uploaded photo, with Streamlit's id of it."""

    id: str
    name: str
    data: bytes


class Handed(NamedTuple):
    """Photos from Segment as (name, content), the classes found in them, and the model that proposes their masks."""

    photos: Sequence[tuple[str, bytes]]
    class_names: Sequence[str]
    checkpoint: str


def hand_over(handed: Handed | None) -> None:
    """Hand photos to Label, which makes a new data set of them once its name is asked for; None takes them back."""
    st.session_state[_HANDED] = handed


def chosen() -> Path | None:
    """Return the data set that the address names, if it is there, so that nothing has to be asked."""
    source, typed = address.kept("source", FOLDER), address.kept("data")
    places = {DEMO: demo_dir(), VOC: voc2012.voc_dir(), FOLDER: checked_path(typed) if typed else None}
    path = places.get(source)
    return path if path and has_layout(path) else None


def offer_other(path: Path) -> None:
    """Draw what is labelled as a button back to the question."""
    address.keep_data()
    st.button(
        plain(title_of(path)), icon=":material/photo_library:", help="Label something else", key="label something else",
        on_click=_ask_again,
    )  # fmt: skip


def _ask_again() -> None:
    address.show(photo=None, only=None, order=None)
    address.keep(source=FOLDER, data="")


def ask_data() -> Path | None:
    """Ask what to label; return the folder of a data set, None until there is one."""
    source = ask_source(UPLOAD, default=FOLDER)
    if source == UPLOAD:
        _ask_uploads()
        return None
    path = data_of(source)
    if path is None:
        st.info(
            "Type a folder of photos, with masks for all, some or none of them. A data set is labelled where it lies; "
            "plain photos are copied into a new data set, and stay as they are."
        )
    elif is_there(path):
        if not path.is_dir():
            raise DataError(f"There is no folder {path}; type one with photos.")
        if has_layout(path):
            return path
        _offer_copy(path)
    return None


def has_layout(path: Path) -> bool:
    """Return whether a folder has photos where a data set has them, with a folder of masks or without."""
    return any((path / place / photos).is_dir() for place in PLACES for photos, _ in LAYOUTS)


def _offer_copy(path: Path) -> None:
    """Offer to make a data set of a folder of photos."""
    photos = photos_in(path)
    st.markdown(f"**{count(len(photos), 'photo')}** in {code(path)}, without masks.")
    show_some(photos)
    _ask_new(path.name, photos, key=str(path))


def _ask_uploads() -> None:
    number = st.session_state.setdefault(_UPLOADS, 0)
    files = st.file_uploader(
        "Photos to label", type=SUFFIXES, accept_multiple_files=True, key=f"label uploads {number}",
        max_upload_size=MAX_PHOTO_MB, help=f"Up to {MAX_UPLOADED}; type the folder of more. They stay on this machine.",
    )  # fmt: skip
    if len(files) > MAX_UPLOADED:
        raise DataError(f"Up to {MAX_UPLOADED} photos can be uploaded, these are {len(files)}; type their folder.")
    handed: Handed | None = st.session_state.get(_HANDED)
    uploads = [Upload(f"{number} {hash(data)}", name, data) for name, data in handed.photos] if handed else []
    if handed:
        st.caption("From Segment. A new data set is made of them; then the model's masks follow as proposals.")
        st.button(f"Remove {count(len(uploads), 'photo')} from Segment", key="remove handed", icon=":material/close:",
                  on_click=hand_over, args=(None,))  # fmt: skip
    uploads += [Upload(file.file_id, file.name, file.getvalue()) for file in files]
    say_lost_uploads(len(uploads))
    if uploads:
        show_some(uploads)
        photos = [(upload.name, upload.data) for upload in uploads]
        _ask_new("photos", photos, key=f"uploads {number}{' from Segment' if handed else ''}", handed=handed)


def _ask_new(
    proposed: str, photos: Sequence[Path] | Sequence[tuple[str, bytes]], *, key: str, handed: Handed | None = None
) -> None:
    """Ask for a name and the classes, and make the data set; the page then opens it.

    Of photos from Segment the classes found in them are proposed.
    """
    proposed = proposed_name(proposed)
    # A comma within a name would make two of it.
    own_names = {name: " ".join(name.replace(",", " ").split()) for name in handed.class_names} if handed else {}
    named = ", ".join(own_names.values())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name of the new data set", proposed, key=f"name of {key}", width=300).strip()
        names = st.text_input("Classes, between commas", named or FIRST_CLASS, key=f"classes of {key}",
                              placeholder="cat, dog", width=300, help=CLASSES_HELP).split(",")  # fmt: skip
        problem = ""
        try:
            named_classes(names)
        except DataError as error:
            problem = str(error)
        is_wanted = st.button("Start labelling", type="primary", icon=":material/draw:", disabled=bool(problem))
    if problem:
        st.caption(f":material/info: {plain(problem)}")
    st.caption(f"The photos are copied to {code(datasets_dir() / (name or proposed))}; nothing is overwritten.")
    if is_wanted and not problem:
        made = _make(name, photos, named_classes(names))
        if handed:  # what Segment drew is proposed, also a class that the starter is otherwise not asked for
            there = {model: own for model, own in own_names.items() if own in made.classes.names and "=" not in own}
            proposing.start(made, handed.checkpoint, chosen=there)
        st.rerun()


def show_some(photos: Sequence[Path] | Sequence[Upload]) -> None:
    """Draw the first photos in a row, and name those among them that cannot be read."""
    unreadable = []
    with st.container(horizontal=True, key="first photos"):
        for photo in photos[:NUM_SHOWN]:
            try:
                show_picture(_thumbnail(photo), "", plain(photo.name), height_px=SHOWN_PX // 2)
            except CoreError:
                unreadable.append(plain(photo.name))
        if len(photos) > NUM_SHOWN:
            st.caption(f"and {len(photos) - NUM_SHOWN:,} more", width="content")
    if unreadable:
        st.caption(f":material/info: Cannot be read, and will be left out: {', '.join(unreadable)}.")


def _thumbnail(photo: Path | Upload) -> bytes:
    if isinstance(photo, Path):
        return cached.any_thumbnail(photo, size_px=SHOWN_PX)
    return cached.upload_thumbnail(*photo, SHOWN_PX)


def named_classes(names: Iterable[str]) -> Classes:
    """Return the background and classes of these names, each in a colour that is told from the others on a photo."""
    named = [name.strip() for name in names if name.strip() and name.strip().lower() != "background"]
    if not named:
        raise DataError("Name at least one class, for instance cat, dog.")
    return Classes(("background", *named), (BLACK, *new_colors([BLACK], len(named))))


def _make(name: str, photos: Sequence[Path] | Sequence[tuple[str, bytes]], classes: Classes) -> LabelSet:
    """Copy the photos into a new data set with a progress bar; the page then opens it."""
    bar = st.progress(0.0, "Copying the photos …")

    def show(done: int, total: int) -> None:
        bar.progress(done / max(1, total), f"Copying photo {done} of {total} …")

    made = new_label_set(name, photos, classes, show)
    st.session_state[_SKIPPED] = (str(made.root), made.skipped)
    st.session_state[_UPLOADS] = st.session_state.get(_UPLOADS, 0) + 1  # a new uploader holds nothing in memory
    address.show(photo=None, only=None, order=None, uploads=None)
    address.keep(source=FOLDER, data=str(made.root))
    hand_over(None)
    return open_label_set(made.root)


def say_skipped(label_set: LabelSet) -> None:
    """Say which photos are left out, and why; those that were not copied only in the tab that made the data set."""
    root, not_copied = st.session_state.get(_SKIPPED, ("", ()))
    sentences = [*label_set.skipped, *(not_copied if root == str(label_set.root) else ())]
    if sentences:
        with st.expander(f"{count(len(sentences), 'photo')} left out", icon=":material/hide_image:"):
            st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def say_findings(label_set: LabelSet) -> None:
    """Say in a line what the doctor finds in the masks that are done, with the way to its findings."""
    found = mask_findings(label_set)
    if found.done:
        named = [f"{plain(name)}: {kind}" for name, kind in list(found.kinds.items())[:MOST_NAMED]]
        more = len(found.kinds) - len(named)
        said = "; ".join([*named, *([f"{more} more"] if more else [])]) or "nothing wrong"
        of = f"{found.examined} of {found.done} masks" if found.examined < found.done else count(found.done, "mask")
        are = "is" if of == "1 mask" else "are"
        st.caption(f"Doctor, {of} that {are} done: {said}.", width="content")
        with showing_errors(), suppress(UnlabelledError):  # a mask without a photo is none of a photo that is done
            cached.dataset(label_set.root)
    link_to("Dataset", "What the doctor finds", source=FOLDER, data=str(label_set.root), look="Findings")


def offer_export(label_set: LabelSet) -> None:
    """Offer files for CVAT and Label Studio, written to `exports/`."""
    st.caption(f"The data set itself is a VOC folder that other tools read: {code(label_set.root)}.")
    tool = st.segmented_control("For", list(TOOLS), default="cvat", key="export for", format_func=TOOLS.__getitem__)
    what = st.segmented_control("What", (MASKS, PROPOSALS), default=MASKS, key="export what")
    if not tool or not st.button("Export", key="export labels", icon=":material/download:"):
        return
    bar = st.progress(0.0, "Writing …")

    def show(done: int, total: int) -> None:
        bar.progress(done / max(1, total), f"Writing photo {done} of {total} …")

    with showing_errors():
        out = unused(exports_folder() / f"{title_of(label_set.root)}-{tool}{ENDINGS[tool]}")
        made = export_labels(label_set, tool, out, proposals=what == PROPOSALS, on_progress=show)
        st.success(f"{count(made.photos, 'photo')} in {code(made.file)}.", icon=":material/check:")
        st.caption(plain(NEXT_STEPS[tool](label_set.classes)))
    bar.empty()
