"""Bringing data: an export of another tool is recognised and shown, corrected, and imported by a job."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import streamlit as st

from core import jobs
from core.data.importers import IMPORTERS, Source, incoming
from core.data.importers.archive import SUFFIXES
from core.data.importers.formats import AUTO, Contents
from core.errors import DataError
from core.home import datasets_dir
from ui import address
from ui.dataset import cached_imports
from ui.dataset.cached_imports import SmallPreview
from ui.dataset.import_preview import ask_0, ask_classes, ask_places, show_preview
from ui.job_view import POLL_S, show_job, show_stop
from ui.page import link_to, showing_errors
from ui.sources import FOLDER, checked_path, offer_folders, typed_path
from ui.words import code, plain

FROM, CALLED, FORMAT, INTO = "from", "called", "format", "into"
"""The parameters of the address: the source, the name of an uploaded file, the format, the new data set."""

MAX_ARCHIVE_MB = 500
"""Below the server's limit, `server.maxUploadSize`: 600 would be shown as 1 GB."""


def bring_data() -> None:
    """Ask for an export, show what it is and would become, and import it."""
    if _is_importing(st.query_params.get(INTO, "")):
        return
    if (path := _ask_path()) is None:
        return
    try:
        with st.spinner("Looking at every file …"):
            contents = cached_imports.contents(path)
        preview_and_import(path, contents)
    except DataError as error:
        raise DataError(_shown(str(error), path)) from error


# --- the source -----------------------------------------------------------------------------------------------------


def _ask_path() -> Path | None:
    """Return the export that the address names; ask for one where it names none."""
    if given := st.query_params.get(FROM):
        source = checked_path(given)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"From {code(_shown(given, source))}", width="content")
            if st.button("Bring something else", icon=":material/undo:"):
                _leave()
        return source
    st.caption(
        "An export of Roboflow, CVAT, Label Studio, labelme, Supervisely or COCO, or photos and masks in any two "
        "folders. It is shown first; nothing is written before you import it, and the export stays as it is."
    )
    link_to("Label", "Photos without masks: label them here", source=FOLDER)
    number = st.session_state.setdefault("archives", 0)
    file = st.file_uploader(
        "An archive", type=SUFFIXES, key=f"archive {number}", max_upload_size=MAX_ARCHIVE_MB,
        help=f"Zip or tar, up to {MAX_ARCHIVE_MB} MB. It stays on this machine, and is deleted once it is imported.",
    )  # fmt: skip
    if file is not None:
        stored = incoming.store_upload(file.name, file.getvalue())
        st.session_state["archives"] = number + 1  # a new uploader holds nothing in memory
        _take(stored, file.name)
    path = typed_path("Or a folder, file or archive on this computer", "~/Downloads/export.zip", key="export")
    offer_folders(lambda folder: _take(folder, None))
    if path and not path.exists():
        raise DataError(f"There is no {path}; name the file or folder of the export.")
    if path:
        _take(path, None)
    return None


def _take(path: Path, called: str | None) -> None:
    address.show(**{FROM: str(path), CALLED: called, FORMAT: None, INTO: None})
    st.rerun()


def _leave() -> None:
    address.show(**dict.fromkeys((FROM, CALLED, FORMAT, INTO)))
    st.rerun()


def _shown(text: str, path: Path) -> str:
    """Return a text with the name that an uploaded archive had in place of where it is stored."""
    called = st.query_params.get(CALLED)
    return text.replace(str(path), called) if called else text


# --- the preview ----------------------------------------------------------------------------------------------------


def preview_and_import(path: Path, contents: Contents) -> None:
    """Ask what cannot be known, show the preview, ask what was guessed wrongly, and import."""
    name = _ask_format(path, contents)
    if name is None:
        return
    shown = st.container()
    corrections = st.expander("Correct what was guessed", icon=":material/tune:")
    with corrections:
        if len(contents.readings) == 1:
            name = _ask_any_format("Format", name) or name
        source = ask_places(name, Source(path), contents)
    found, error = _preview(name, source)
    with corrections if found else st.container():  # what has to be said is not hidden
        if found is None and (said := ask_0(source, cached_imports.values(source))):
            source = replace(source, classes=said)
            found, error = _preview(name, source)
        values = found.preview.values if found else cached_imports.values(source)
        called = ask_classes(source, found.preview if found else None, values)
    if called:
        source = replace(source, classes=called)
        found, error = _preview(name, source)
    with shown:
        if found is None:
            st.error(plain(_shown(error, path)), icon=":material/error:")
            return
        notes = [note.replace(str(path), st.query_params.get(CALLED, path.name)) for note in found.preview.notes]
        show_preview(found, contents.readings.get(name, ""), notes)
    _offer_import(name, source)


def _preview(name: str, source: Source) -> tuple[SmallPreview | None, str]:
    try:
        with st.spinner("Reading the annotations …"):
            return cached_imports.preview(name, source), ""
    except DataError as error:
        return None, str(error)


def _ask_format(path: Path, contents: Contents) -> str | None:
    """Return the one format that a source is in; ask where it may be in several, or in none that is recognised."""
    readings = contents.readings
    if len(readings) == 1:
        return next(iter(readings))
    if readings:
        chosen: str | None = st.radio(
            "This can be read in several ways. Which is right?", list(readings),
            **address.keyed(FORMAT, readings.keys(), None), format_func=_format_name,
            captions=[plain(evidence) for evidence in readings.values()],
        )  # fmt: skip
        return chosen
    error = st.container()
    chosen = _ask_any_format("Read it as", None)
    if chosen is None:
        _, sentence = _preview(AUTO, Source(path))
        error.error(plain(_shown(sentence, path)), icon=":material/error:")
    return chosen


def _ask_any_format(label: str, usual: str | None) -> str | None:
    formats = list(IMPORTERS)
    chosen: str | None = st.selectbox(label, formats, **address.keyed(FORMAT, formats, usual), format_func=_format_name)
    return chosen


def _format_name(name: str) -> str:
    return IMPORTERS[name].title


# --- the import -----------------------------------------------------------------------------------------------------


def _offer_import(name: str, source: Source) -> None:
    """Ask for a name, and start the job that imports."""
    proposed = incoming.proposed_name(st.query_params.get(CALLED) or source.path.name)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        new = st.text_input("Name of the new data set", proposed, key=f"name {source.path}", width=320).strip()
        is_wanted = st.button("Import", type="primary", icon=":material/download_done:")
    st.caption(f"It is written to {code(datasets_dir() / (new or proposed))}; nothing is overwritten.")
    if is_wanted:
        out = incoming.place_of(new)
        with st.spinner("Starting …"):
            jobs.start(
                incoming.job_dir(new), ["import", name, str(source.path), "--out", str(out), *options_for(source)]
            )
        address.show(**{INTO: new})
        st.rerun()


def options_for(source: Source) -> Iterable[str]:
    """Return what was corrected as options of the command line."""
    for option in ("photos", "masks", "names", "table"):
        if (value := getattr(source, option)) is not None:
            yield f"--{option}={value}"
    if source.classes:
        yield f"--classes={json.dumps(source.classes)}"


def _is_importing(name: str) -> bool:
    """Show the job that imports a data set of this name; go to the data set when it is there."""
    if not incoming.NAME.fullmatch(name):
        return False
    job, root = incoming.job_dir(name), datasets_dir() / name
    if jobs.is_held(job):
        st.fragment(_show_import, run_every=POLL_S)(name)
        return True
    if error := jobs.error(job):
        st.error(plain(error), icon=":material/error:")
    elif root.is_dir():
        address.show(source=FOLDER, data=str(root), **dict.fromkeys((FROM, CALLED, FORMAT, INTO)))
        st.rerun()
    return False


def _show_import(name: str) -> None:
    with showing_errors():
        job = incoming.job_dir(name)
        progress = jobs.progress(job)
        if progress is None:
            st.rerun()
        show_job(progress, f"Importing {plain(name)}", "reading the annotations", "photo")
        st.caption("It continues if you close this page or stop the server.")
        show_stop(job)


def show_import_notes(root: Path) -> None:
    """Draw what the import of a data set skipped or decided, if it was imported here."""
    if notes := incoming.notes_of(root):
        with st.expander(f"What the import skipped or decided ({len(notes)})", icon=":material/checklist:"):
            st.markdown("\n".join(f"- {plain(note)}" for note in notes))
