"""A report's tables for other programs: CSV and JSON with fractions, LaTeX with percent for a thesis.

The LaTeX uses booktabs, escapes every text, and compiles with pdflatex and lualatex.
"""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import core
from core.metrics.scores import Scores
from core.report.content import Content
from core.report.language.words import MINUS, MISSING, NARROW, Words
from core.report.tables import CLASS_SCORE_NAMES, SCORE_NAMES, ScoreTable, class_tables, scores_table
from core.report.verdicts import Verdicts
from core.wording import csv_text

CSV_SCORE_NAMES = (*SCORE_NAMES[:2], "mean_accuracy", *SCORE_NAMES[2:])
"""The CSV has a column for mean accuracy, which is the recall of the other tables."""

FLOOR = "floor"

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "-": "{-}", MINUS: "$-$", MISSING: "--", NARROW: r"\,", "\N{NO-BREAK SPACE}": "~", "…": r"\ldots{}",
    "’": r"\textquoteright{}", "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}",
    "«": r"\guillemotleft{}", "»": r"\guillemotright{}", "×": r"$\times$", "•": r"\textbullet{}",
}  # fmt: skip

UNKNOWN = "?"

TEMPLATE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), finalize=lambda value: escape(str(value)),
    autoescape=False,  # noqa: S701 - LaTeX, which `finalize` escapes
    undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True,
    block_start_string="<%", block_end_string="%>", variable_start_string="<<", variable_end_string=">>",
    comment_start_string="<#", comment_end_string="#>",
).get_template("tables.tex")  # fmt: skip


def tables(content: Content, verdicts: Verdicts, language: str = "en") -> dict[str, bytes]:
    """Return the tables as files by name; `language` is that of the LaTeX."""
    return {
        "scores.csv": scores_csv(content),
        "classes.csv": classes_csv(content),
        "epochs.csv": epochs_csv(content),
        "report.json": report_json(content, verdicts),
        "tables.tex": tables_tex(content, language),
    }


def scores_csv(content: Content) -> bytes:
    """Return a row of scores for each checkpoint, and the floor's last; an absent score is empty."""
    rows = [
        {**about, "images": scores.images, **{name: getattr(scores, name) for name in CSV_SCORE_NAMES}}
        for about, scores in _sides(content)
    ]
    return _csv(["run", "checkpoint", "epoch", "step_in_epoch", "split", "images", *CSV_SCORE_NAMES], rows)


def classes_csv(content: Content) -> bytes:
    """Return a row for each class of each checkpoint and of the floor."""
    names = (*CLASS_SCORE_NAMES, "truth_pixels", "predicted_pixels")
    rows = [
        {**about, "class_id": entry.id, "class": entry.name, **{name: getattr(entry, name) for name in names}}
        for about, scores in _sides(content)
        for entry in scores.classes
    ]
    return _csv(["run", "checkpoint", "epoch", "step_in_epoch", "split", "class_id", "class", *names], rows)


def epochs_csv(content: Content) -> bytes:
    """Return a row for each epoch of each run, with the floor of its validation split."""
    names = ["epoch", "train_loss", "val_loss", "miou", "pixel_accuracy", "images_per_second", "seconds"]
    rows = [
        {
            "run": reported.run.path.name,
            **{name: getattr(epoch, name) for name in names},
            "floor_miou": reported.log.legs[-1].floor.get("miou"),
            "floor_pixel_accuracy": reported.log.legs[-1].floor.get("pixel_accuracy"),
        }
        for reported in content.runs
        if reported.log.legs
        for epoch in reported.log.epochs
    ]
    return _csv(["run", *names, "floor_miou", "floor_pixel_accuracy"], rows)


def report_json(content: Content, verdicts: Verdicts) -> bytes:
    """Return the scores and comparisons as one JSON document; absent values are null."""
    about = content.evaluation
    document: dict[str, Any] = {
        "atrous": core.__version__,
        "data": about.data,
        "split": about.split,
        "fingerprint": about.fingerprint,
        FLOOR: content.floor.as_dict(),
        "checkpoints": [
            {
                "run": checkpoint.run.path.name,
                "checkpoint": checkpoint.file.name,
                "epoch": checkpoint.epoch,
                "step_in_epoch": checkpoint.step_in_epoch,
                "sha256": checkpoint.evaluation.checkpoint_hash,
                **checkpoint.scores.as_dict(),
            }
            for checkpoint in content.checkpoints
        ],
        "against_floor": [comparison.as_dict() for comparison in verdicts.against_floor],
        "against_first": [comparison.as_dict() for comparison in verdicts.against_first],
        "runs": [
            {"run": reported.run.path.name, "name": reported.run.name, "settings": reported.run.config.as_dict()}
            for reported in content.runs
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def tables_tex(content: Content, language: str) -> bytes:
    """Return the tables of scores as a LaTeX document that compiles by itself."""
    words = Words(language)
    return document([scores_table(content, words), *class_tables(content, words)], words).encode()


def document(tables: Sequence[ScoreTable], words: Words) -> str:
    """Return a LaTeX document with the tables, one after the other, in percent; `tables.tex` is its template."""
    return TEMPLATE.render(tables=tables, words=words)


def _sides(content: Content) -> Iterable[tuple[dict[str, Any], Scores]]:
    for checkpoint in content.checkpoints:
        about = {"run": checkpoint.run.path.name, "checkpoint": checkpoint.file.name, "epoch": checkpoint.epoch}
        about["step_in_epoch"] = checkpoint.step_in_epoch
        yield about | {"split": content.split}, checkpoint.scores
    yield {"run": "", "checkpoint": FLOOR, "epoch": None, "step_in_epoch": None, "split": content.split}, content.floor


def _csv(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> bytes:
    cells = [["" if row[name] is None else str(row[name]) for name in names] for row in rows]
    return csv_text(names, cells).encode()


def escape(text: str) -> str:
    """Return LaTeX source that prints a text; letters that pdflatex's fonts lack become question marks.

    The fonts have the letters of European languages; other scripts need lualatex and a font.
    """
    return "".join(SPECIAL.get(letter) or _letter(letter) for letter in unicodedata.normalize("NFC", text))


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else " "
    return letter if "\u00c0" <= letter <= "\u017f" else UNKNOWN
