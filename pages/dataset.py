"""Dataset: what a folder of photos and masks holds, and what is wrong with it."""

from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import jobs
from core.data import analysis
from core.data.dataset import Dataset, UnlabelledError, read_contents
from core.data.labelling import photos_in
from core.errors import DataError
from ui import address, cached
from ui.dataset.bring_data import bring_data, show_import_notes
from ui.dataset.browser import browse, say_chosen
from ui.dataset.class_names import offer_names
from ui.dataset.findings import lead_on, show_findings, show_repairs, show_unopened
from ui.dataset.splits import show_splits
from ui.dataset.statistics import show_charts, show_facts
from ui.job_view import POLL_S, show_job
from ui.page import link_to, open_page, showing_errors
from ui.sources import BRING, FOLDER, ask_source, data_of, is_there
from ui.words import plain

LOOKS = CONTENT, FINDINGS, SPLITS = "Content", "Findings", "Splits"


def offer_ways(path: Path) -> None:
    """Lead from a folder that is not a data set to what can be done with it."""
    with st.container(horizontal=True):
        with suppress(DataError):  # it holds no photos
            photos_in(path)
            link_to("Label", "Label these photos", source=FOLDER, data=str(path))
            link_to("Segment", "Segment a photo")
        link_to("Dataset", "Import it as another tool's export", source=BRING, **{"from": str(path)})


def open_data(path: Path) -> Dataset | None:
    """Return the data set, or None after showing why it cannot be opened; without any mask, end the page there."""
    with showing_errors():
        try:
            return cached.dataset(path)
        except UnlabelledError as error:
            st.info(plain(str(error)), icon=":material/draw:")
            offer_ways(path)
            st.stop()
    return None


def analyse(path: Path, data: Dataset | None) -> analysis.Analysis | None:
    """Return what one pass over all files found; start the pass if there was none, and show its progress."""
    if found := cached.analysis(path):
        if data and found.classes != data.classes:
            cached.forget_datasets()
            st.rerun()
        return found
    job = analysis.job_dir(path)
    error = jobs.error(job)
    if not jobs.is_held(job) and error:
        st.error(plain(error), icon=":material/error:")
        if not st.button("Read the files again", icon=":material/refresh:"):
            return None
    jobs.start(job, ["stats", str(path)])
    st.fragment(show_analysis, run_every=POLL_S)(path)
    return None


def show_analysis(path: Path) -> None:
    """Draw the progress of the pass over the files; rerun the page when it ends."""
    with showing_errors():
        job = analysis.job_dir(path)
        progress = jobs.progress(job)
        if progress is None and (jobs.has_ended(job) or jobs.error(job)):
            st.rerun()
        show_job(progress or jobs.JobProgress(0, 0, 0), "Reading every photo and mask once", "getting ready", "pair")


def ask_split(data: Dataset) -> str:
    """Ask which split to look at."""
    names = [name for name, samples in data.splits.items() if samples]
    return address.ask_one("Split", names, "split", names[0], help=f"Where the splits come from: {data.split_source}.")


def show_content(data: Dataset, found: analysis.Analysis | None, top: DeltaGenerator) -> None:
    """Draw the numbers of a split, its photos, and its charts; a photo that is open large, in `top`."""
    split = ask_split(data)
    stats = cached.split_stats(found, split) if found else None
    numbers = st.container()
    is_large = browse(data, split, stats, top)
    if stats and stats.images and not is_large:
        with numbers:
            show_facts(stats)
        st.subheader("Statistics", anchor=False)
        say_chosen(data, split, stats)
        show_charts(stats, data.classes)
        if data.has_named_classes and found:
            offer_names(data, [stats])


def show(data: Dataset, found: analysis.Analysis | None, top: DeltaGenerator) -> None:
    """Draw the chosen view, at first the findings if there are errors; only that one is computed."""
    num_errors = sum(finding.severity == "error" for finding in found.report.findings) if found else 0
    lead_on(found.report if found else None)
    if found and not data.has_named_classes:
        offer_names(data, [cached.split_stats(found, split) for split in data.splits])
    usual = FINDINGS if num_errors else CONTENT
    look = address.ask_one("Look at", LOOKS, "look", usual, label_visibility="collapsed")
    if look == FINDINGS:
        if found:
            show_findings(found.report, data)
    elif look == CONTENT:
        show_content(data, found, top)
    elif found:
        show_splits(data, {split: cached.split_stats(found, split) for split in data.splits})


def main() -> None:
    """Ask for a data set, read it once, and show it."""
    top = st.container(key="large view")  # before all that is asked, so that the whole photo is on the first screen
    st.title("Dataset", anchor=False)
    if (source := ask_source(BRING)) == BRING:
        bring_data()
        return
    path = data_of(source)
    if not is_there(path):
        return
    data = open_data(path)
    try:
        read_contents(path)
    except DataError:  # the same sentence as above
        offer_ways(path)
        return
    show_import_notes(path)
    show_repairs(path)
    found = analyse(path, data)
    if data:
        show(data, found, top)
    elif found:
        show_unopened(found.report)


with open_page("Dataset"):
    main()
