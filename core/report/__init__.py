"""A run as a report that examiners can read anywhere: one HTML file, and the tables behind it.

    content.py      what is reported: runs and their stored evaluations
    verdicts.py     who beats whom, and the floor: paired comparisons of the checkpoints
    words.py        the texts of a language (language/en.toml, pt.toml), its numbers and dates
    tables.py       the tables of scores
    sections.py     what else the sections of the page say: settings, warnings, commands
    charts.py       where lines and ticks of a chart lie
    figures.py      which photos stand for all, and their pictures
    page.py         the whole file, laid out by templates/report.html: blocks.html has its tables and charts,
                    formulas.html the definitions as MathML, report.css its looks
    exports.py      the same tables as CSV, JSON and LaTeX (latex.py)

Neither torch nor streamlit is imported here. Scores are fractions until `words.py` writes them.
"""
