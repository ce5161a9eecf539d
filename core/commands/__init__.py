"""The commands of `python -m core`: functions that act, and `add_to`, which declares their arguments.

training.py     demo, train, estimate
study.py        study
data.py         doctor, stats, download, import, export-labels
evaluation.py   evaluate, compare, report, bench
trust.py        trust
checkpoints.py  inspect, export, models
segmenting.py   segment
explaining.py   explain
review.py       propose, rank
document.py     the document that a command returns, and how a command is declared
"""
