"""Everything Atrous does, without a dashboard.

__main__.py     reads the command line and calls a command
api.py          the same from Python, in five lines
terminal.py     progress bars and lines
commands/       the functions behind each command
report/         a run as a document
review/         what a model says about photos that nobody has labelled yet
study/          several trainings as one question: plan, queue, results
training/       settings, runs, the loop that trains, evaluation, estimates
explain/        why a pixel got its class
model/          architectures, weights, checkpoints, photo -> mask
data/           data sets: pairs, splits, what is wrong with them
download/       large files from the web
metrics/        integer counts -> scores
jobs.py         a job is a process of its own: its lock, start and progress
classes.py      names and colours of a data set's classes
palettes.py     colours for readers with any colour vision
voc.py          constants of VOC 2012 and of ImageNet preprocessing
files.py        files and folders that appear whole or not at all
uploads.py      files from the browser
home.py         where checkpoints/, studies/, datasets/ and exports/ are
errors.py       the tree of errors
wording.py      counts, sizes, times, free names, CSV
windows.py      differences between Windows and POSIX
free_memory.py  free main memory
"""

import os

from core.model.fast import dynamo

__version__ = "0.1.0"

# OpenMP reads these when torch is loaded. By default waiting threads spin; where a dashboard, a browser and a trainer
# share two cores they take the core from the thread they wait for: 3 to 5 times slower. Threads that sleep at once take
# a quarter longer on two free cores, as operations of a tenth of a millisecond follow each other; those that spin for a
# few microseconds do not (GNU's OpenMP, which torch has on Linux; dev/LOG.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

dynamo.leave_for_later()
