"""Training: settings, run folders, the loop, evaluation and time estimates.

settings/       the settings of a run; no torch, no streamlit
run/            the run folder and its files; no torch, no streamlit
distributed.py  several processes under torchrun: ranks and communication
evaluation.py   evaluates a model on whole images
corrupted.py    evaluates a model on corrupted photos
held_out.py     computes the figures for trust: a pass over held-out photos, and one over training photos
trust.py        those figures as they are stored; no torch
features.py     features of the frozen stages, stored, and the training of what follows them
loss.py         cross-entropy without void, also of logits coarser than the mask; class weights
loop/           the training itself
estimate/       how long a training will take
demo_run.py     the demo: data, then 10 epochs, then 50

Imports go one way: estimate -> loop -> corrupted, held_out -> evaluation -> features, loss, distributed, trust ->
run -> settings.
"""
