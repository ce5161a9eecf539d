"""The splits of a data set, and random and stratified ones for comparison."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.data.dataset import LISTS, TEST, Dataset, Sample
from core.data.splits import (
    PARTS,
    SplitPreview,
    SplitShares,
    preview_splits,
    set_aside_test,
    stratified_splits,
    write_lists,
)
from core.data.statistics.split_stats import SplitStats
from core.training.run import openings
from core.wording import count
from ui.charts import NEUTRAL, THEME_COLORS, blank
from ui.page import showing_errors
from ui.words import MISSING, percent, plain

SEED = 0
_SAID = "splits written"
"""What was written to a data set, to be said when its splits are drawn anew."""
MEANING = (
    "A random split may leave few photos of a rare class for validation, and its score is then noise. A stratified "
    "split puts about a fifth of the photos of every class there (Sechidis et al. 2011)."
)

TEST_MEANING = "The split test stays closed: training, studies and Compare use train and val unless you open it."


def show_splits(data: Dataset, stats: dict[str, SplitStats]) -> None:
    """Draw the splits as they are, and a random and a stratified split of the same pairs."""
    rows = [
        {"Split": name, "Photos": each.images, "Classes": sum(entry.images > 0 for entry in each.classes),
         "Floor, mIoU": percent(each.floor.miou), "Left out": len(each.left_out)}
        for name, each in stats.items()
    ]  # fmt: skip
    root, sentence = st.session_state.pop(_SAID, ("", ""))
    if root == str(data.root):
        st.success(plain(sentence), icon=":material/check:")
    st.markdown(f"**As it is**: {data.split_source}")
    st.dataframe(rows, hide_index=True, width="content", alt="What each split holds")
    _show_test(data)
    ids = {name: shown for each in stats.values() for name, shown in zip(each.names, each.class_ids, strict=True)}
    chosen = [data.splits[part] for part in PARTS if data.splits.get(part)] or list(data.splits.values())
    samples = {s.name: s for split in chosen for s in split if s.name in ids}
    if len(samples) < 2:
        st.info("There are too few pairs to split.")
        return
    preview = preview_splits(list(samples.values()), ids, data.num_classes, SEED)
    st.markdown(
        f"**Random against stratified**: the {count(len(samples), 'pair')} of train and val, split 80/20 again. "
        f"{MEANING}"
    )
    _show_preview(data, preview)
    _offer_lists(data, stratified_splits(list(samples.values()), ids, SEED))


def _show_test(data: Dataset) -> None:
    """Say how often the test split was opened; without one, offer to set one aside."""
    with showing_errors():
        if (found := openings.openings_of(data)) is not None:
            st.caption(f":material/lock: {TEST_MEANING} {openings.sentence(found)}")
    if TEST in data.splits:
        return
    with st.expander("Set a test split aside", icon=":material/lock:"):
        st.caption(f"{TEST_MEANING} Runs trained before have seen its photos.")
        percents = st.number_input("Share of the photos, %", 1, 50, 15, key="test share", width=190)
        is_kept = f"; the present lists are kept in {LISTS.as_posix()}-before" if "lists" in data.split_source else ""
        is_sure = st.checkbox(f"Take these photos off train and val{is_kept}", key="set aside")
        if st.button("Set aside", icon=":material/lock:", disabled=not is_sure):
            with showing_errors():
                number = set_aside_test(data.root, percents / 100, SEED)
                are = "is" if number == 1 else "are"
                _say_next(data, f"{count(number, 'photo')} of train and val {are} set aside as the split test now.")


def _offer_lists(data: Dataset, splits: Mapping[str, Sequence[Sample]]) -> None:
    """Offer to write the stratified split as lists; lists that exist are replaced only after a confirmation."""
    is_sure = "lists" not in data.split_source or st.checkbox(
        f"Replace train and val; the present lists are kept in {LISTS.as_posix()}-before", key="replace lists",
        help="Photos of one scene may land on both sides; Findings then reports them.",
    )  # fmt: skip
    if st.button("Write the stratified split as lists", icon=":material/save:", disabled=not is_sure):
        with showing_errors():
            write_lists(data.root, splits)
            sizes = " and ".join(f"{count(len(samples), 'photo')} in {name}" for name, samples in splits.items())
            _say_next(data, f"The lists are written: {sizes}.")


def _say_next(data: Dataset, sentence: str) -> None:
    """Draw the page again, with a sentence about what was written to the data set."""
    st.session_state[_SAID] = (str(data.root), sentence)
    st.rerun()


def _show_preview(data: Dataset, preview: SplitPreview) -> None:
    """Draw the share of each class in validation, unless there is one class, and the largest deviation."""
    shown = [k for k in range(1, data.num_classes) if preview.random.train[k] + preview.random.val[k]]
    figure = blank(height=320, y_title="Share of the class in validation")
    for name, split, color in (("Random", preview.random, 1), ("Stratified", preview.stratified, 0)):
        figure.add_bar(
            x=[data.class_names[k] for k in shown], y=[_val_share(split, k) for k in shown], name=name,
            marker={"color": THEME_COLORS[color]},
            customdata=[[count(split.val[k], "photo"), split.train[k]] for k in shown],
            hovertemplate="%{y:.1%}: %{customdata[0]} in val, %{customdata[1]} in train",
        )  # fmt: skip
    figure.add_hline(0.2, line={"dash": "dash", "width": 1.5, "color": NEUTRAL})
    figure.update_yaxes(tickformat=".0%")
    if len(shown) > 1:
        st.plotly_chart(figure, key="splits", alt="Share of each class in validation, split at random and stratified")
    worst = {"random": preview.random.largest_deviation, "stratified": preview.stratified.largest_deviation}
    deviations = [f"{name} {MISSING if value is None else f'{100 * value:.1f}'}" for name, value in worst.items()]
    st.caption(f"Furthest from a fifth, in points, among classes with five photos or more: {', '.join(deviations)}.")


def _val_share(split: SplitShares, class_id: int) -> float:
    return split.val[class_id] / (split.val[class_id] + split.train[class_id])
