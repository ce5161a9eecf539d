"""A run as a report that examiners can read anywhere: one HTML file, and the tables behind it.

    content.py      runs and stored evaluations -> what a report tells
    verdicts.py     who beats whom, and the floor: paired comparisons of what is judged
    figures.py      which photos stand for all, and their pictures
    words.py        a language: its words (english.py, portuguese.py), numbers and dates
    markup.py       text -> HTML, escaped; charts.py draws SVG with it, formulas.py MathML
    page.py         the whole file; its looks are in style.py, its sections in the next two lines
    sections.py reproduction.py   what was done: data, model, training; how to do it again
    results.py      what came of it: evaluation, figures, verdict, definitions
    tables.py       the tables of scores; blocks.py turns these and others into HTML
    exports.py      the same tables as CSV, JSON and LaTeX (latex.py)

Neither torch nor streamlit is imported here. Scores are fractions until `words.py` writes them.
"""
