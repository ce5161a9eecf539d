"""The findings of the doctor: a table with thumbnails, a CSV file, labels that a model doubts, and the repair."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import streamlit as st

from core import jobs
from core.data import analysis
from core.data.dataset import Dataset, read_contents
from core.data.doctor.diagnosis import BEGUN, UNLABELLED, Finding, Report, report_csv
from core.data.repair.repaired_copy import changes_of, would_mend
from core.errors import DataError
from core.files import unused
from core.home import datasets_dir
from core.wording import count
from ui import address, cached
from ui.dataset.label_review import show_label_review
from ui.downloads import offer
from ui.job_view import POLL_S, show_job
from ui.page import link_to, showing_errors
from ui.pictures import data_url
from ui.sources import FOLDER, title_of, typed_path
from ui.words import MISSING, plain

_ASKED = "repaired copies"
"""By folder, the copy that this tab asked for; the page goes there when it is made."""

ABOUT = FILES, LABELS = "Files", "Labels"
PER_PAGE = 50
THUMBNAIL_PX = 96
ROW_PX = 84
HEADER_PX = 37
"""The height of a table's first row, with its border."""
SEVERITIES = {"error": "Error", "warning": "Warning"}
MEANING = "An error stops the training or falsifies the score. A warning may be intended. The files were only read."


def summary(report: Report) -> str:
    """Return in words how many errors and warnings there are."""
    numbers = {name: sum(found.severity == name for found in report.findings) for name in SEVERITIES}
    return " and ".join(count(number, name) for name, number in numbers.items() if number) or "nothing wrong"


def lead_on(report: Report | None) -> None:
    """Say in a row what the doctor found, and lead to Train, or back to Label where too few photos are labelled."""
    findings = report.findings if report else ()
    begun = next((found for found in findings if found.kind == BEGUN), None)
    num_errors = sum(found.severity == "error" for found in findings)
    if begun:
        st.info(plain(begun.detail), icon=":material/draw:")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        if report:
            icon = ":material/error:" if findings else ":material/check:"
            st.caption(f"{icon} The doctor found {summary(report)}.")
        if report and begun and not num_errors:
            link_to("Label", "Label more photos", source=FOLDER, data=str(report.root))
        else:
            label = f"Train despite {count(num_errors, 'error')}" if num_errors else "Train on this data"
            link_to("Train", label, run="new")


def show_unopened(report: Report) -> None:
    """Draw what can be done with a folder that cannot be opened: first the offer to repair, then the findings."""
    st.markdown("The folder cannot be opened as it is. Mend what the red line names, or make a copy that opens:")
    _offer_repair(report.root, is_needed=True)
    st.subheader("What the doctor found", anchor=False)
    _show_files(report)


def show_findings(report: Report, data: Dataset) -> None:
    """Draw the findings about files or about labels, and the offer to repair."""
    about = address.ask_one("About", ABOUT, "about", FILES, label_visibility="collapsed")
    if about == LABELS:
        show_label_review(data)
    else:
        _show_files(report)
    if report.findings or about == LABELS:
        _offer_repair(report.root, is_needed=would_mend(report))


def _show_files(report: Report) -> None:
    examined = f"{count(report.images, 'photo')} and {count(report.masks, 'mask')} read"
    if not report.findings:
        st.success(f"{examined}: nothing is wrong with them.", icon=":material/check:")
        return
    st.markdown(f"**{summary(report).capitalize()}** · {examined}. {MEANING}")
    kinds = st.pills("Kind", sorted(report.counts), selection_mode="multi", key="kinds", default=[], wrap=True,
                     format_func=lambda kind: f"{kind} ({report.counts[kind]})")  # fmt: skip
    if UNLABELLED in report.counts:
        link_to("Label", "Label the photos that have no mask", source=FOLDER, data=str(report.root))
    shown = [found for found in report.findings if not kinds or found.kind in kinds]
    pages = -(-len(shown) // PER_PAGE)
    page = st.pagination(pages, key=f"findings {','.join(kinds)}") if pages > 1 else 1
    _show_table(report.root, shown[(page - 1) * PER_PAGE : page * PER_PAGE])
    offer("Findings as CSV", lambda: report_csv(report).encode(), "findings.csv", "text/csv")


def _show_table(root: Path, findings: Sequence[Finding]) -> None:
    rows = [
        {
            "Picture": _picture(root, root / found.file),
            "": SEVERITIES[found.severity],
            "Kind": found.kind,
            "File": found.file,
            "What it does, and the remedy": found.detail.replace("`", ""),  # a cell is not Markdown
        }
        for found in findings
    ]
    columns = {
        "Picture": st.column_config.ImageColumn(width=80, help="Empty where the file cannot be read."),
        "": st.column_config.TextColumn(width=66),
        "Kind": st.column_config.TextColumn(width=105),
        "File": st.column_config.TextColumn(width=165),
        "What it does, and the remedy": st.column_config.TextColumn(width=400),
    }
    st.dataframe(
        rows, hide_index=True, column_config=columns, row_height=ROW_PX, height=HEADER_PX + ROW_PX * min(len(rows), 8),
        key="findings", alt="What the doctor found", placeholder=MISSING,
    )  # fmt: skip


def _picture(root: Path, file: Path) -> str | None:
    """Return a thumbnail as a data URL; None if the file is not a picture, or not one of the data set."""
    if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
        return None
    try:
        return data_url(cached.any_thumbnail(file, size_px=THUMBNAIL_PX))
    except DataError:
        return None


# --- repair ---------------------------------------------------------------------------------------------------------


def show_repairs(root: Path) -> None:
    """Say what the repair changed in a data set, if it is a repaired copy."""
    changes = changes_of(root)
    if not changes:
        return
    kinds = Counter(change.action for change in changes)
    title = f"A repaired copy: {', '.join(f'{kind} ({number})' for kind, number in kinds.items())}"
    with st.expander(title, icon=":material/healing:"):
        st.dataframe([asdict(change) for change in changes], hide_index=True, alt="What the repair changed")


def _offer_repair(root: Path, *, is_needed: bool) -> None:
    """Ask for a new folder, and make a repaired copy in a process of its own; say where it would mend nothing."""
    st.subheader("A repaired copy", anchor=False)
    if not is_needed:
        st.caption(":material/info: It would mend none of these findings: they are for you to judge.")
    st.markdown(
        "Masks become class ids, photos stand upright, copies of training photos leave the validation split, and "
        "files that cannot be mended or used are set aside. What was decided about labels is applied. The originals "
        "are not changed; `repair.csv` in the copy lists every change."
        + ("" if read_contents(root).lists else " Without lists of train and val, the pairs are split anew.")
    )
    asked: dict[str, str] = st.session_state.setdefault(_ASKED, {})
    proposed = asked.get(str(root)) or str(unused(datasets_dir() / f"{title_of(root)}-repaired"))
    out = typed_path("New folder for the copy", proposed, key=f"repair {root}", value=proposed)
    if out is None:
        return
    job = analysis.job_dir(root) / "repair"
    if jobs.is_held(job):
        st.fragment(_show_repair, run_every=POLL_S)(job)
        return
    if error := jobs.error(job):
        st.error(plain(error), icon=":material/error:")
    is_made = out.is_dir() and any(out.iterdir())
    if is_made and asked.pop(str(root), None) == str(out):
        address.show(source=FOLDER, data=str(out), look=None, split=None, only=None, photo=None)
        st.rerun()
    if is_made:
        st.success(f"There is a copy in `{out}`.", icon=":material/check:")
        link_to("Dataset", "Look at the copy", source=FOLDER, data=str(out))
    elif st.button("Make a repaired copy", type="primary" if is_needed else "secondary", icon=":material/healing:"):
        with st.spinner("Starting …"):
            jobs.start(job, ["doctor", str(root), "--repair", str(out)])
        asked[str(root)] = str(out)
        st.rerun()


def _show_repair(job: Path) -> None:
    with showing_errors():
        progress = jobs.progress(job)
        if progress is None:
            st.rerun()
        show_job(progress, "Repairing", "reading the folder", "pair")
