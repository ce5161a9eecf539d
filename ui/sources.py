"""Choosing a data set: the demo, VOC 2012 or a folder; making or downloading the first two."""

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

import streamlit as st

from core import jobs
from core.data import voc2012
from core.errors import DataError
from core.files import by_number, entries
from core.home import datasets_dir, demo_dir
from core.training.run.folders import list_runs
from ui import address
from ui.job_view import BYTES, POLL_S, show_job, show_stop
from ui.page import showing_errors
from ui.words import code, plain

SOURCES = DEMO, VOC, FOLDER = "Demo", "VOC 2012", "A folder"
MAX_RECENT, PATH_WIDTH_PX = 6, 460
BRING = "Bring data"
"""Beside them on the Dataset page: an export of another tool."""
CITATION = "Everingham et al., The PASCAL Visual Object Classes Challenge 2012; its photos are Flickr's, not ours"


def ask_source(*others: str, default: str = DEMO) -> str:
    """Ask where a data set comes from; `others` are offered beside the usual sources."""
    return address.ask_one(
        "Data set", (*SOURCES, *others), "source", default,
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
    with st.container(horizontal=True, vertical_alignment="bottom"):
        asked = st.container(width=PATH_WIDTH_PX)
        offer_recent()  # first, because a path that cannot be opened is an error
        with asked:
            return typed_path("Folder on this computer", "/data/VOCdevkit/VOC2012", **address.keyed("data", None, ""))


def offer_recent() -> None:
    """Offer to click through folders; those that runs used, newest first, and those under `datasets/`, as buttons."""
    used = [Path(run.data) for run in list_runs()]
    demo = (demo_dir(), datasets_dir() / "demo")
    known = [
        path for path in dict.fromkeys([*used, *entries(datasets_dir(), "*")]) if path.is_dir() and path not in demo
    ]
    offer_folders(lambda path: address.show(data=str(path)))
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


# --- clicking through folders -----------------------------------------------------------------------------------------

LOCAL = ("127.0.0.1", "localhost", "::1")
MAX_READ, MAX_SHOWN = 20_000, 200
_AT = "folder shown"
"""The folder in which the folders are shown, in the session; none while they are not."""


def offer_folders(choose: Callable[[Path], None]) -> None:
    """Offer to click through the folders, where this computer alone is served; `choose` takes the chosen one."""
    if st.get_option("server.address") not in LOCAL:
        return
    start = datasets_dir() if datasets_dir().is_dir() else Path.home()
    st.button("Browse", icon=":material/folder_open:", on_click=_go, args=(start,), key="browse")
    if _AT in st.session_state:
        _browse(choose)


def _go(folder: Path | None) -> None:
    """Show a folder; None closes the browser."""
    if folder:
        st.session_state[_AT] = str(folder)
    else:
        st.session_state.pop(_AT, None)


@st.dialog("Choose a folder", on_dismiss=lambda: _go(None))
def _browse(choose: Callable[[Path], None]) -> None:
    """Draw the folder that is shown: its path, the ways out of it and into it, and the button that chooses it."""
    folder = Path(st.session_state.get(_AT, Path.home()))
    with st.container(horizontal=True):
        st.button("Up", icon=":material/arrow_upward:", on_click=_go, args=(folder.parent,), key="folder up",
                  disabled=folder == folder.parent)  # fmt: skip
        for label, place in (("Data sets", datasets_dir()), ("Home", Path.home())):
            if place.is_dir():
                st.button(label, on_click=_go, args=(place,), key=f"folder {label}")
    st.markdown(code(folder))
    with st.container(height=300), showing_errors():
        inside, are_all = folders_in(folder)
        for each in inside:
            st.button(plain(each.name), icon=":material/folder:", type="tertiary", on_click=_go, args=(each,),
                      key=f"folder {each}")  # fmt: skip
        if not inside:
            st.caption("No folder is in it.")
        if not are_all:
            st.caption(f"The first {MAX_SHOWN} are shown; type the path of another.")
    if st.button("Use this folder", type="primary", icon=":material/check:", key="folder chosen"):
        _go(None)
        choose(folder)
        st.rerun()


def folders_in(folder: Path) -> tuple[list[Path], bool]:
    """Return the folders in a folder by name, at most `MAX_SHOWN`, and whether these are all; hidden ones are left out.

    Of a crowded folder the first `MAX_READ` entries are read. One that cannot be opened raises `DataError`.
    """
    found = []
    try:
        with os.scandir(folder) as there:
            for entry in islice(there, MAX_READ):
                with suppress(OSError):  # a link in a circle, or into what is another user's
                    # A name that is not text cannot be shown, nor passed on in an address.
                    if not entry.name.startswith(".") and entry.name.isprintable() and entry.is_dir():
                        found.append(folder / entry.name)
            are_all = next(there, None) is None
    except OSError as error:
        raise DataError(f"{folder} cannot be opened: {error.strerror}; choose another folder.") from error
    return sorted(found, key=by_number)[:MAX_SHOWN], are_all and len(found) <= MAX_SHOWN


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
        st.caption("It continues if you close this page or stop the server.")
        show_stop(folder)
