"""Tables of scores as LaTeX with booktabs, every text of a person escaped; pdflatex and lualatex both take it."""

import unicodedata
from collections.abc import Sequence

from core.report.language.words import MINUS, MISSING, NARROW, Words
from core.report.tables import Row, ScoreTable

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "-": "{-}", MINUS: "$-$", MISSING: "--", NARROW: r"\,", "\N{NO-BREAK SPACE}": "~", "…": r"\ldots{}",
    "’": r"\textquoteright{}", "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}",
    "«": r"\guillemotleft{}", "»": r"\guillemotright{}", "×": r"$\times$", "•": r"\textbullet{}",
}  # fmt: skip

UNKNOWN = "?"


def escape(text: str) -> str:
    """Return a text as LaTeX source that prints it; what pdflatex has no letter for becomes a question mark.

    Its fonts know the letters of European languages; a class in another script needs lualatex and a font for it.
    """
    return "".join(SPECIAL.get(letter) or _letter(letter) for letter in unicodedata.normalize("NFC", text))


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter if letter.isprintable() else " "
    return letter if "\u00c0" <= letter <= "\u017f" else UNKNOWN


def document(tables: Sequence[ScoreTable], words: Words) -> str:
    """Return a document that compiles, with one table environment after the other."""
    return "\n".join(
        [
            r"\documentclass[11pt,a4paper]{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage[utf8]{inputenc}",
            r"\usepackage{textcomp}",
            r"\usepackage{booktabs}",
            r"\usepackage[margin=2cm]{geometry}",
            r"\begin{document}",
            "",
            *(f"{environment(table, words)}\n" for table in tables),
            r"\end{document}",
            "",
        ]
    )


def environment(table: ScoreTable, words: Words) -> str:
    """Return one table environment; fractions are in percent, with the decimal sign of the language."""
    size = [r"\small", r"\setlength{\tabcolsep}{3.5pt}"] if len(table.columns) > 5 else []
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            *size,
            rf"\caption{{{escape(table.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\toprule",
            *_groups(table),
            _line([table.corner, *table.columns]),
            r"\midrule",
            *(_row(row, words) for row in table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _groups(table: ScoreTable) -> list[str]:
    """Return the headings over several columns, each with its rule."""
    if not table.groups:
        return []
    cells, rules, first = [""], [], 2
    for name, span in table.groups:
        cells.append(rf"\multicolumn{{{span}}}{{c}}{{{escape(name)}}}")
        rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        first += span
    return [rf"{' & '.join(cells)} \\", "".join(rules)]


def _row(row: Row, words: Words) -> str:
    return _line([row.label, *(words.per_cent(value) for value in row.values)])


def _line(cells: Sequence[str]) -> str:
    return rf"{' & '.join(map(escape, cells))} \\"
