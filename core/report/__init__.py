"""A run's report for examiners: one HTML file that opens anywhere, and its tables.

content.py        the content: runs, checkpoints and their stored evaluations
trust_content.py  robustness and trust of the checkpoints, where asked for
verdicts.py       paired comparisons of the checkpoints, with each other and with the floor
tables.py         the tables of scores
html/             the HTML file
language/         its texts, in English and Portuguese
exports.py        the tables as CSV, JSON and LaTeX (tables.tex)

Imports neither torch nor streamlit. Scores are fractions until `language.words` writes them.
"""
