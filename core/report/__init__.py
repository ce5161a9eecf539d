"""A run as a report that examiners can read anywhere: one HTML file, and the tables behind it.

content.py   what is reported: runs and their stored evaluations
verdicts.py  who beats whom, and the floor: paired comparisons of the checkpoints
tables.py    the tables of scores
html/        the file
language/    its texts, in English and Portuguese
exports.py   the same tables as CSV, JSON and LaTeX

Neither torch nor streamlit is imported here. Scores are fractions until `language.words` writes them.
"""
