"""A study on Compare: its recipes with the point of every run, intervals, the verdict, and each run to open."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.dataset import TEST, open_dataset
from core.report.content import ReportedCheckpoint
from core.study import findings, learning_curve
from core.study.findings import Findings
from core.study.folder import DONE, INVALID, Study, list_studies, open_study
from core.study.learning_curve import LearningCurve
from core.study.plan import Recipe
from core.study.results import RecipeScores
from core.study.verdict import RecipeScore
from core.training.run import openings
from core.wording import count
from ui import address
from ui.charts import THEME_COLORS, add_floor, blank, literal
from ui.checkpoints import STUDIES, address_of
from ui.compare.comparison import FLOOR_LABEL
from ui.page import link_to, showing_errors
from ui.report.form import offer_report
from ui.words import MISSING, percent, plain

METHOD = (
    "The interval is over runs and over photos (Obuchowski and Rockette 1995): it holds for other seeds of the same "
    "recipe and other photos like these. Every run is scored by the checkpoint of its last planned epoch, not by "
    "best.pt, which was chosen on val. With folds, a seed is scored on the photos of all its folds together."
)
RUN = "of"
CURVE_POINTS = 25


def ask_study() -> Study | None:
    """Ask for a study if there are some; without one the page compares checkpoints. The address holds it as `study`."""
    studies = {study.name: study for study in list_studies()}
    asked = st.query_params.get("study")
    if asked and asked not in studies:
        with showing_errors():  # it is missing, or damaged
            open_study(asked)
    if not studies:
        return None
    name = st.selectbox(
        "Study", list(studies), None, **address.keyed("study", list(studies), None),
        placeholder="Checkpoints; or choose a study of recipes", width=460,
    )  # fmt: skip
    return studies.get(name or "")


def show_study(study: Study) -> None:
    """Draw the verdict about the recipes, the points of their runs, the learning curve, and links to the runs."""
    found = findings.find(study)
    _say_state(found)
    if not found.recipes:
        st.info("No recipe has a seed that is complete yet; points appear as seeds finish.")
    else:
        for text in findings.sentences(found, [each.recipe.label for each in found.recipes]):
            st.subheader(plain(text), anchor=False, help=METHOD)
        if len(found.comparisons) > 1:
            st.caption(
                "Each recipe is compared with the first. The intervals of these verdicts are wider than those of the "
                "chart, so that 95 % holds for all of them together."
            )
        st.plotly_chart(
            points_figure(found.recipes, found.scores, found.floor), key="recipes",
            alt="mIoU of every run of each recipe, their mean with its interval, and the floor",
        )  # fmt: skip
        st.table(recipe_table(found))
        st.caption(f"mIoU on {_photos(found)}; the floor is what predicting background everywhere scores on them.")
        if found.began_from_starter:
            st.caption(f":material/warning: {findings.STARTER_SAW}")
    if curves := [each for each in findings.learning_curves(found) if each[1].photos]:
        for recipe, curve in curves:
            of = f" ({plain(recipe.label)})" if len(curves) > 1 else ""
            st.markdown(f"**Learning curve**{of}: {learning_curve.sentence(curve)}.")
        st.plotly_chart(
            curve_figure(curves, found.floor), key="learning",
            alt="mIoU of every seed over the number of training photos, with the band up to twice as many",
        )  # fmt: skip
    _show_runs(found)
    _offer_report(found)


def _photos(found: Findings) -> str:
    images = len(found.recipes[0].seeds[0].names)
    folds = found.study.plan.folds
    each = f", each by the run of {folds} folds that did not train on it" if folds else ""
    return f"{count(images, 'photo')} of {plain(found.study.plan.data)}{each}"


def _say_state(found: Findings) -> None:
    total, changed = len(found.states), sum(each.state == INVALID for each in found.states)
    st.caption(f"{found.num_done} of {count(total, 'run')} done · preset {found.study.plan.preset}")
    if found.num_done < total:
        link_to("Train", "Follow it, or go on", run=f"{STUDIES}/{found.study.name}")
    if changed:
        st.warning(f"{count(changed, 'run')} left out: the photos or the classes have changed since.")
    data = open_dataset(found.study.plan.data)
    if data.splits.get(TEST):
        st.caption(f":material/lock: {openings.sentence(openings.openings_of(data) or [])}")


def recipe_table(found: Findings) -> pd.DataFrame:
    """Return a row of text for each recipe, its mean with interval and its seeds, and the floor."""
    rows = {
        plain(each.recipe.label): {
            "Mean mIoU": percent(score.miou),
            "Interval": MISSING if score.low is None else f"{_bound(score.low)} to {_bound(score.high)}",
            "By seed": ", ".join(percent(seed.miou) for seed in each.seeds),
        }
        for each, score in zip(found.recipes, found.scores, strict=True)
    }
    rows[FLOOR_LABEL] = {"Mean mIoU": percent(found.floor), "Interval": "", "By seed": ""}
    return pd.DataFrame(rows).T


def _bound(fraction: float | None) -> str:
    return percent(None if fraction is None else min(1.0, max(0.0, fraction)))


def points_figure(recipes: Sequence[RecipeScores], scores: Sequence[RecipeScore], floor: float | None) -> go.Figure:
    """Draw the mIoU of every seed as a dot, and of each recipe the mean with its interval beside the dots."""
    figure = blank(height=340, y_title="Mean IoU")
    places = range(len(recipes))
    figure.add_scatter(
        x=[place - 0.12 for place, each in zip(places, recipes, strict=True) for _ in each.seeds],
        y=[seed.miou for each in recipes for seed in each.seeds],
        text=[f"seed {seed.seed}" for each in recipes for seed in each.seeds],
        mode="markers", name="One seed", marker={"size": 9, "opacity": 0.75, "color": THEME_COLORS[1]},
        hovertemplate="%{text}: %{y:.1%}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[place + 0.12 for place in places], y=[score.miou for score in scores],
        error_y={"type": "data", "symmetric": False, "thickness": 2, "width": 8,
                 "array": [_reach(score.miou, score.high) for score in scores],
                 "arrayminus": [_reach(score.low, score.miou) for score in scores]},
        mode="markers", name="Mean and 95 % interval",
        marker={"size": 11, "symbol": "diamond", "color": THEME_COLORS[0]},
        hovertemplate="mean %{y:.1%}<extra></extra>",
    )  # fmt: skip
    add_floor(figure, floor)
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(
        tickvals=list(places), ticktext=[literal(each.recipe.label) for each in recipes],
        range=[-0.6, len(recipes) - 0.4], showgrid=False,
    )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _reach(low: float | None, high: float | None) -> float:
    """Return the length of one half of an interval, within the scores that exist; 0 without an interval."""
    return 0.0 if low is None or high is None else max(0.0, min(1.0, high) - max(0.0, low))


def curve_figure(curves: Sequence[tuple[Recipe, LearningCurve]], floor: float | None) -> go.Figure:
    """Draw the mIoU of every seed against the training photos, and up to twice as many the band of each recipe."""
    figure = blank(height=340, x_title="Training photos", y_title="Mean IoU")
    for number, (recipe, curve) in enumerate(curves):
        color, label = THEME_COLORS[number % len(THEME_COLORS)], literal(recipe.label)
        figure.add_scatter(
            x=[size for size, runs in zip(curve.photos, curve.mious, strict=True) for _ in runs],
            y=[miou for runs in curve.mious for miou in runs], name=f"{label}: one seed", mode="markers",
            marker={"size": 8, "opacity": 0.6, "color": color}, hovertemplate="%{x} photos: %{y:.1%}<extra></extra>",
        )  # fmt: skip
        sizes = np.geomspace(curve.photos[0], 2 * curve.photos[-1], CURVE_POINTS).tolist()
        bands = [band for size in sizes if (band := curve.band(size))]
        x, y = (
            (sizes, [min(1.0, middle) for _, middle, _ in bands]) if bands else (list(curve.photos), list(curve.mean))
        )
        figure.add_scatter(x=x, y=y, name=label, mode="lines", line={"color": color, "width": 2}, hoverinfo="skip")
        for ends, name in (([low for low, _, _ in bands], f"{label}: 95 %"), ([high for _, _, high in bands], "")):
            figure.add_scatter(
                x=sizes[: len(ends)], y=ends, name=name, mode="lines", showlegend=bool(name and ends),
                line={"color": color, "width": 1, "dash": "dot"}, hoverinfo="skip",
            )  # fmt: skip
    add_floor(figure, floor)
    figure.update_layout(hovermode="closest")
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return figure


def _show_runs(found: Findings) -> None:
    """Offer each run of the study to be opened: its training, and its checkpoint with scores and photos."""
    known = {address_of(each.run): each for each in found.states if each.run}
    if not known:
        return
    st.subheader("Runs", anchor=False)
    labels = {
        name: f"{each.cell.label} · {percent(each.evaluation.scores.miou) if each.evaluation else each.state}"
        for name, each in known.items()
    }
    chosen = st.selectbox(
        "A run of this study", list(known), format_func=labels.__getitem__,
        **address.keyed(RUN, list(known), next(iter(known)), key="run of the study"),
    )  # fmt: skip
    state = known[chosen]
    with st.container(horizontal=True):
        link_to("Train", "Open the run", run=chosen)
        if state.state == DONE and state.evaluation:
            link_to("Compare", "Its scores and photos", checkpoint=f"{chosen}/{state.evaluation.checkpoint}")
            link_to("Segment", "Segment a photo", checkpoint=f"{chosen}/{state.evaluation.checkpoint}")


def _offer_report(found: Findings) -> None:
    """Offer the report on a run of each recipe, with its section on the study."""
    done = [
        each for each in found.states if each.state == DONE and each.cell.fraction == max(found.study.plan.fractions)
    ]
    by_recipe = {each.cell.recipe: each for each in reversed(done) if each.cell.fold == done[0].cell.fold}
    checkpoints = [
        ReportedCheckpoint(each.run, each.run.path / each.evaluation.checkpoint, each.evaluation)
        for recipe in found.study.plan.recipes
        if (each := by_recipe.get(recipe)) and each.run and each.evaluation
    ]
    if checkpoints:
        offer_report(found.study.name, lambda: checkpoints)
