"""Everything Atrous does, without a dashboard.

__main__.py     the command line
api.py          the same from Python, in five lines
terminal.py     progress bars and tables
commands/       what the command line does
report/         a run for those who examine it
training/       settings, runs, the loop that trains, evaluation, estimates
model/          architectures, weights, checkpoints, photo -> mask
data/           data sets: pairs, splits, what is wrong with them
download/       large files from the web
metrics/        integer counts -> scores
jobs.py         work in a process of its own: its lock, its start, its progress
classes.py      names and colours of a data set's classes, and whether anything says them
palettes.py     colours that people with any colour vision can tell apart
voc.py          constants of VOC 2012 and of ImageNet preprocessing
files.py        files written so that a reader sees the old one or the new one, read, put in order
home.py         where checkpoints/, datasets/ and exports/ are
errors.py       what can go wrong, as one tree
wording.py      numbers with their nouns, sizes, times, tables
windows.py      what Windows does otherwise than POSIX
free_memory.py  how much memory can still be had
"""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch is loaded, so set before. Threads that wait spin by default, and where a dashboard, a
# browser and a trainer share two cores they then take the core from the thread they wait for: 3 to 5 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
