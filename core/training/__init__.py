"""Training: what is asked, where it lives, what is reported, and the loop that does it.

settings/       what a run is asked to do; neither torch nor streamlit
run/            the run folder and all that is in it; neither torch nor streamlit
distributed.py  several processes under torchrun: who this one is, what they say to each other
evaluation.py   evaluating a model on whole images
features.py     what a frozen backbone makes of every photo, stored, and training the head on it
loss.py         cross-entropy without void, also of logits coarser than the mask; class weights
loop/           the training itself
estimate/       how long a training will take
demo_run.py     the demo: data, then 10 epochs, then 50

Imports go one way: estimate -> loop -> evaluation -> features, loss, distributed -> run -> settings.
"""
