"""The tables for other programs: the same numbers, harmless in a spreadsheet, LaTeX that compiles."""

import csv
import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from core.report import exports
from core.report.content import Content, evaluated_checkpoints, gather
from core.report.language.words import LANGUAGES, Words
from core.report.tables import Row, ScoreTable, class_tables, scores_table
from core.report.verdicts import decide
from tests.small_data import write_voc
from tests.unit.report.conftest import MakeRun

NASTY = r"50 % of_a\class {x} $y$ #1 & ~^ <b> |é| “q” 'p' --- `r` \input{x}"


def rows_of(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode())))


def test_csv_holds_the_scores_as_they_are_and_the_floor_last(content: Content) -> None:
    rows = rows_of(exports.scores_csv(content))
    assert [(row["checkpoint"], row["epoch"], row["images"]) for row in rows] == [
        ("epoch_002.pt", "2", "12"), ("epoch_004.pt", "4", "12"), ("floor", "", "12"),
    ]  # fmt: skip
    for row, scores in zip(rows, [*(each.scores for each in content.checkpoints), content.floor], strict=True):
        for name in exports.CSV_SCORE_NAMES:
            value = getattr(scores, name)
            assert row[name] == ("" if value is None else str(value))
    assert rows[-1]["boundary_iou"] == ""


def test_csv_of_classes_and_epochs(content: Content) -> None:
    classes = rows_of(exports.classes_csv(content))
    assert len(classes) == 3 * 21
    cat = next(row for row in classes if row["checkpoint"] == "epoch_004.pt" and row["class"] == "cat")
    assert float(cat["iou"]) == content.checkpoints[1].scores.classes[8].iou
    assert [row["iou"] for row in classes if row["class"] == "sofa"] == ["", "", ""]
    epochs = rows_of(exports.epochs_csv(content))
    assert [row["epoch"] for row in epochs] == ["1", "2", "3", "4"]
    assert {row["floor_miou"] for row in epochs} == {"0.25"}


def test_no_cell_is_a_formula(make_run: MakeRun, tmp_path: Path) -> None:
    names = ("=1+1", *(f"@{k}" for k in range(1, 21)))
    data = write_voc(tmp_path / "formulas" / "VOC2012", num_train=2, num_val=12)
    (data / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    content = gather(evaluated_checkpoints([make_run(class_names=names, data=data)], "val"))
    named = {row["class"] for row in rows_of(exports.classes_csv(content))}
    assert named == {f"'{name}" for name in names}


def test_json_holds_scores_and_comparisons(content: Content) -> None:
    verdicts = decide(content)
    document = json.loads(exports.report_json(content, verdicts))
    assert document["checkpoints"][0] | content.checkpoints[0].scores.as_dict() == document["checkpoints"][0]
    assert document["floor"]["miou"] == content.floor.miou
    assert document["against_first"][0]["delta_miou"] == verdicts.headline.delta_miou
    assert len(document["against_floor"]) == 2
    assert document["runs"][0]["settings"]["epochs"] == 2


def test_latex_writes_percent_in_the_language_s_way(content: Content) -> None:
    miou = [Words(language).per_cent(content.checkpoints[1].scores.miou) for language in LANGUAGES]
    english, portuguese = (exports.tables_tex(content, language).decode() for language in LANGUAGES)
    floor = Words().per_cent(content.floor.miou)
    assert f"& {miou[0]} & {floor} \\\\" in english
    assert f"& {miou[1]} & {floor.replace('.', ',')} \\\\" in portuguese
    assert "." in miou[0]
    assert "," in miou[1]
    assert r"\multicolumn{4}{c}{2 epochs} & \multicolumn{4}{c}{4 epochs} & \multicolumn{1}{c}{Floor} \\" in english
    assert "IoU média (mIoU)" in portuguese


def test_latex_escapes_every_sign_that_means_something() -> None:
    assert exports.escape("a_b & 5 % #1 {x}") == r"a\_b \& 5 \% \#1 \{x\}"
    assert exports.escape("\\input{/etc/passwd}") == r"\textbackslash{}input\{/etc/passwd\}"
    assert exports.escape("$x^2$~") == r"\$x\textasciicircum{}2\$\textasciitilde{}"
    assert exports.escape("−2,5 – 1\N{NARROW NO-BREAK SPACE}464") == r"$-$2,5 -- 1\,464"
    assert exports.escape("maçã, Löwe, 犬\n") == "maçã, Löwe, ? "


@pytest.mark.parametrize("language", LANGUAGES)
def test_latex_compiles(content: Content, tmp_path: Path, language: str) -> None:
    compiler = shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("there is no pdflatex on this machine")
    run = replace(content.runs[0].run, name=NASTY)
    checkpoints = [replace(each, run=run) for each in content.checkpoints]
    words = Words("pt" if language == "pt" else "en")
    own = ScoreTable(NASTY, NASTY, ((NASTY, 2),), (NASTY, NASTY), (Row(NASTY, (0.5, None)), Row("犬 −", (1.0, 0.0))))
    nasty = gather(checkpoints)
    tables = [scores_table(nasty, words), *class_tables(nasty, words), own]
    (tmp_path / "tables.tex").write_text(exports.document(tables, words), encoding="utf-8")
    ended = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"],
        cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:]
    assert (tmp_path / "tables.pdf").stat().st_size > 1000
    assert "Missing character" not in ended.stdout
