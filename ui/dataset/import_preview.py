"""The preview of an import: what it would bring, and what a person can correct."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.data.importers import IMPORTERS, Source
from core.data.importers.formats import Contents
from core.data.importers.masks.known_names import KNOWN, VOID_NAME
from core.data.importers.plan import Called, Value
from core.data.importers.preview import Preview
from core.data.importers.source_splits import SPLITS
from core.errors import DataError
from core.voc import VOID
from core.wording import count
from ui.dataset.cached_imports import SmallPreview
from ui.legend import show_colors
from ui.pictures import show_picture
from ui.words import percent, plain

GUESSED = "as guessed"
PICTURE_HEIGHT_PX = 100
"""Ten of the usual shape are two rows."""


def show_preview(found: SmallPreview, evidence: str, notes: Sequence[str]) -> None:
    """Draw format, numbers, classes, notes, and the masks over ten photos."""
    preview = found.preview
    st.markdown(f"**{IMPORTERS[preview.format].title}**" + (f": {plain(evidence)}" if evidence else ""))
    with st.container(horizontal=True):
        st.metric("Photos", f"{preview.images:,}")
        st.metric("Classes", len(preview.classes), help="The background is one.")
        for name in (*SPLITS, ""):
            if number := preview.splits.get(name):
                st.metric(name or "In no split", f"{number:,}")
    if not {"train", "val"} <= preview.splits.keys():
        st.caption(
            "The export does not have both train and val: the photos are split 80/20 at random, always the same way."
        )
    if notes:
        st.markdown("\n".join(["**Skipped, decided or doubtful**", "", *(f"- {plain(note)}" for note in notes)]))
        if preview.images > len(found.overlays):
            st.caption(
                "What shows only when a mask is drawn is counted in the photos below; the import counts it in all."
            )
    with st.container(horizontal=True):
        for name, overlay in found.overlays:
            show_picture(overlay, plain(name), f"Masks over {name}", height_px=PICTURE_HEIGHT_PX)
    _show_classes(preview)


def _show_classes(preview: Preview) -> None:
    total = max(1, sum(preview.pixels))
    ids = [*range(len(preview.classes)), VOID]
    names = [*preview.classes.names, VOID_NAME]
    shown = zip(ids, names, preview.pixels, strict=True)
    red_green_blue = preview.classes.palette.tolist()
    show_colors({
        f"{name} {percent(pixels / total)}": tuple(red_green_blue[class_id])
        for class_id, name, pixels in shown if pixels or class_id != VOID
    })  # fmt: skip
    st.caption("Shares of the pixels in the photos above.")


# --- corrections ----------------------------------------------------------------------------------------------------


def ask_places(name: str, source: Source, contents: Contents) -> Source:
    """Ask where photos, masks and names are, as far as the format reads that; return the corrected source."""
    options = IMPORTERS[name].options
    folders, root = list(contents.folders), source.path

    def ask_folder(label: str, other: str) -> str | None:
        chosen: str | None = st.selectbox(
            label, folders, None, lambda folder: _with_number(folder, contents), key=f"{label} {root}",
            placeholder=GUESSED, width=320, accept_new_options=True, help=f"One of the export, or {other}.",
        )  # fmt: skip
        return chosen

    with st.container(horizontal=True):
        if "photos" in options and (photos := ask_folder("Folder of the photos", "the path of another")):
            source = replace(source, photos=_inside(photos, root))
        if "masks" in options:
            source = replace(source, masks=ask_folder("Folder of the masks", "the ending of their names, as _gt"))
        if "names" in options:
            known = st.selectbox(
                "Names of", list(KNOWN), None, key=f"names {root}", placeholder=GUESSED, width=220,
                accept_new_options=True,
                help="A known data set, for the values of its masks; of VIA, the attribute that names the class.",
            )  # fmt: skip
            source = replace(source, names=known)
        if "table" in options:
            table = st.text_input(
                "Table of classes", key=f"table {root}", placeholder=GUESSED, width=320,
                help="A file that names values or colours, as classes.txt; Label Studio's JSON export beside its PNGs.",
            ).strip()  # fmt: skip
            source = replace(source, table=_inside(table, root) if table else None)
    return source


def _with_number(folder: str, contents: Contents) -> str:
    number = contents.folders.get(folder)
    return f"{'the top' if folder == '.' else folder} ({count(number, 'picture')})" if number else folder


def _inside(typed: str, root: Path) -> Path:
    """Return the path of what a folder holds, or what was typed: a whole path, or a name in an archive."""
    return root / typed if root.is_dir() else Path(typed)


def ask_0(source: Source, values: Sequence[Value]) -> Called:
    """Ask whether 0 is the background or the first name of the source, where nothing says so."""
    if not values or not values[0].guess:
        return ()
    chosen = st.radio("What 0 is in the masks", ["background", values[0].guess], None, key=f"0 of {source}",
                      captions=["The names start at 1.", "The names start at 0."])  # fmt: skip
    return ((values[0].called, chosen),) if chosen else ()


def ask_classes(source: Source, preview: Preview | None, values: Sequence[Value]) -> Called:
    """Ask what the values of masks, or the classes of the source, are called and which are void."""
    if not values or values[0].guess:  # `ask_0` comes first
        return ()
    before = table_of(preview, values)
    with st.form(f"classes {source}", border=False):
        st.markdown("What each value is" if preview is None or _are_values(values) else "What each class is called")
        after = st.data_editor(
            before, hide_index=True, width="content", disabled=["In the export", "Pixels"],
            column_config={
                "Void": st.column_config.CheckboxColumn(help="Neither trained nor scored."),
                "Class": st.column_config.TextColumn(help="Equal names become one class."),
                "Colour": st.column_config.TextColumn(help="As #rrggbb; may stay empty."),
            },
        )  # fmt: skip
        st.form_submit_button("Show it so", icon=":material/visibility:")
    return called_of(before, after)


def _are_values(values: Sequence[Value]) -> bool:
    return all(value.called.lstrip("-").isdigit() for value in values)


def table_of(preview: Preview | None, values: Sequence[Value]) -> pd.DataFrame:
    """Return a row for each value or class: what it is called, whether it is void, its colour and share of pixels."""
    total = max(1, sum(value.pixels for value in values))
    names, colors = (preview.classes.names, preview.classes.colors) if preview else (("background",), ("",))
    known = [None if value.id == VOID else value.id for value in values]
    return pd.DataFrame({
        "In the export": [value.called for value in values],
        "Class": ["" if k is None else names[k] for k in known],
        "Void": [value.id == VOID for value in values],
        "Colour": ["" if k is None else colors[k] for k in known],
        "Pixels": [percent(value.pixels / total) for value in values],
    })  # fmt: skip


def called_of(before: pd.DataFrame, after: pd.DataFrame) -> Called:
    """Return what a person calls values or classes, with the colours that were changed; () if nothing was changed."""
    rows = after.fillna("").to_dict("records")
    if rows == before.to_dict("records"):
        return ()
    colors = before["Colour"].tolist()
    return tuple(
        (row["In the export"], VOID_NAME if row["Void"] else _with_color(row, color))
        for row, color in zip(rows, colors, strict=True)
    )


def _with_color(row: Mapping[Any, str], before: str) -> str:
    name, color = row["Class"].strip(), row["Colour"].strip()
    if color and not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise DataError(f"'{color}' is not a colour; write it as #rrggbb, for instance #cc2222.")
    return f"{name} {color}" if color and color != before else name
