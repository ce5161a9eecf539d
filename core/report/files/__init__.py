"""The tables of scores for other programs.

exports.py  CSV, JSON and LaTeX
latex.py    tables with booktabs, every text of a person escaped
"""
