"""Studies: trainings of several recipes, seeds, folds and shares of the photos, and what they say together.

plan.py            which trainings a study has; no torch
folder.py          the folder of a study, and the state of each training; no torch
work.py            trains what is missing, one run after the other
estimate.py        how long it will take, and what would halve it
results.py         what the runs scored, gathered from their stored evaluations; no torch
verdict.py         two recipes: the difference in mean mIoU, its interval over runs and photos, the sentence; no torch
learning_curve.py  mIoU against the number of photos, its band, and what twice as many would add; no torch
findings.py        the recipes of a study with their intervals, comparisons and learning curves; no torch
document.py        what `study --json` prints; no torch
"""
