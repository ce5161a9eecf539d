"""The commands of `python -m core`: functions that act, and `add_to`, their arguments.

training.py     demo, train, estimate
data.py         doctor, stats, download, import
evaluation.py   evaluate, compare, report, bench
checkpoints.py  inspect, export, models
segmenting.py   segment
document.py     what a command returns, and how it is declared
"""
