"""Choosing a data set: the demo, VOC 2012 or a folder; making or downloading the first two."""

import os
from pathlib import Path
from typing import Any, TypeGuard

import streamlit as st

from core import jobs
from core.data import voc2012
from core.errors import DataError
from core.files import entries
from core.home import datasets_dir, demo_dir
from core.training.run.folders import list_runs
from ui import address
from ui.job_view import BYTES, POLL_S, show_job, show_stop
from ui.page import showing_errors
from ui.words import plain

SOURCES = DEMO, VOC, FOLDER = "Demo", "VOC 2012", "A folder"
MAX_RECENT = 6
BRING = "Bring data"
"""Beside them on the Dataset page: an export of another tool."""
CITATION = "Everingham et al., The PASCAL Visual Object Classes Challenge 2012; its photos are Flickr's, not ours"


def ask_source(*others: str) -> str:
    """Ask where a data set comes from; `others` are offered beside the usual sources."""
    return address.ask_one(
        "Data set", (*SOURCES, *others), "source", DEMO,
        help="The demo is 200 drawn scenes with exact masks. VOC 2012 can be downloaded here (2 GB). A folder is a "
        "VOCdevkit, a VOC2012 folder, or any folder with images and masks (JPEGImages + SegmentationClass, or "
        "images + masks).",
    )  # fmt: skip


def data_of(source: str) -> Path | None:
    """Return the folder of a data set, which may not exist; None until a path is typed.

    The query string holds the choice (`?source=A folder&data=/path`).
    """
    address.keep_data()
    if source == DEMO:
        return demo_dir()
    if source == VOC:
        return voc2012.voc_dir()
    path = typed_path("Folder on this computer", "/data/VOCdevkit/VOC2012", **address.keyed("data", None, ""))
    if path is None:
        offer_recent()
    return path


def offer_recent() -> None:
    """Offer the folders that runs used, newest first, and those under `datasets/`, as buttons."""
    used = [Path(run.data) for run in list_runs()]
    demo = (demo_dir(), datasets_dir() / "demo")
    known = [
        path for path in dict.fromkeys([*used, *entries(datasets_dir(), "*")]) if path.is_dir() and path not in demo
    ]
    with st.container(horizontal=True):
        for path in known[:MAX_RECENT]:
            st.button(title_of(path), icon=":material/folder:", help=str(path), key=f"recent {path}",
                      on_click=address.show, kwargs={"data": str(path)})  # fmt: skip


def typed_path(label: str, example: str, **keyed: Any) -> Path | None:
    """Ask for a path on this computer; None until one is typed. `keyed` are further arguments of the text box.

    A path that cannot be opened, because it is too long or another user's, raises `DataError`.
    """
    text = st.text_input(label, placeholder=example, **keyed).strip()
    return checked_path(text) if text else None


def checked_path(text: str) -> Path:
    """Return a path on this computer; one that cannot be opened raises `DataError`."""
    if "\0" in text:
        raise DataError("This is not a path: it contains a zero byte; type it again.")
    # `Path.expanduser` raises for ~nobody. Absolute, because jobs run in another folder.
    path = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111
    try:
        if path.is_dir():
            next(path.iterdir(), None)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}; check the path and its owner.") from error
    return path


def is_demo(path: Path) -> bool:
    """Return whether a folder is the demo's."""
    return path == demo_dir()


def title_of(path: Path) -> str:
    """Return a data set's name: that of its folder, or of the one around VOC's own folders."""
    if is_demo(path):
        return "Demo data"
    named = [part for part in path.parts if part not in ("VOC2012", "VOCdevkit")]
    return named[-1] if named else str(path)


def is_there(path: Path | None, *, is_demo_enough: bool = False) -> TypeGuard[Path]:
    """Return whether there is a folder to open; if not, say what is missing and offer to get it.

    `is_demo_enough` is for callers that make the demo data themselves.
    """
    if path is None:
        st.info("Type the folder of a data set: a VOCdevkit, a VOC2012 folder, or one with images and masks.")
    elif is_demo(path) and not path.is_dir() and not is_demo_enough:
        offer_demo_data()
    elif path == voc2012.voc_dir() and not path.is_dir():
        offer_voc()
    else:
        return True
    return False


def offer_demo_data() -> None:
    """Offer to make the demo data; rerun the page when it is there."""
    st.info("The demo data is not made yet: 200 drawn scenes with exact masks, about 10 MB.", icon=":material/draw:")
    if st.button("Make the demo data", type="primary", icon=":material/brush:"):
        make_demo_data()
        st.rerun()


def make_demo_data() -> None:
    """Draw the demo data unless it is there, with a progress bar."""
    from core.training import demo_run

    bar = st.progress(0.0, "Drawing the demo data …")

    def show(done: int, total: int) -> None:
        bar.progress(done / total, f"Drawing scene {done} of {total} …")

    try:
        demo_run.make_data(show)
    except OSError as error:
        raise DataError(f"The demo data cannot be written to {demo_dir()}: {error.strerror}.") from error
    bar.empty()


# --- VOC 2012 -------------------------------------------------------------------------------------------------------


def offer_voc() -> None:
    """Offer to download VOC 2012 or to unpack a tar, or show the progress; rerun the page when it is there."""
    folder = voc2012.job_dir()
    if jobs.is_held(folder):
        st.fragment(_show_download, run_every=POLL_S)(folder)
        return
    if error := jobs.error(folder):
        st.error(plain(error), icon=":material/error:")
    st.info(
        "VOC 2012 is not here yet: 17,125 photos, 2,913 of them with masks; a download of 2.0 GB, and as much again "
        f"unpacked. A download that was cut off goes on where it stopped. {CITATION}.",
        icon=":material/cloud_download:",
    )  # fmt: skip
    if st.button("Download VOC 2012", type="primary", icon=":material/download:"):
        _start(folder, ["download"])
    tar = typed_path("Or a tar you already have", "~/Downloads/VOCtrainval_11-May-2012.tar", key="tar")
    if st.button("Unpack this tar", icon=":material/unarchive:", disabled=tar is None):
        _start(folder, ["download", "--tar", str(tar)])
    st.caption(f"If you have the folder already, choose *{FOLDER}* above.")


def _start(folder: Path, arguments: list[str]) -> None:
    with st.spinner("Starting …"):
        jobs.start(folder, arguments)
    st.rerun()


def _show_download(folder: Path) -> None:
    with showing_errors():
        progress = jobs.progress(folder)
        if progress is None:
            st.rerun()
        show_job(progress, "VOC 2012", "asking the server", BYTES)
        st.caption("It goes on when this page or the server is closed.")
        show_stop(folder)
