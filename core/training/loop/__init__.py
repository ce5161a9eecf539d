"""The training itself: a run, a leg, an epoch, a step.

trainer.py       opens a run folder, trains a leg, writes its records
leg.py           a leg, from a start to the next stop: preparation, epochs, checkpoints, samples, end
other_ranks.py   the processes other than rank 0
preflight.py     tries a step, a checkpoint and an evaluation first; data warnings
trial.py         a trial of the GPU
compiled.py      compiled steps: their trial, and whether they are worth compiling
loop.py          the training loop: a generator of records that writes no file
progress.py      epochs, steps, best epoch, patience
step.py          one step, in parts where memory is short
replay.py        a step on an NVIDIA GPU, captured once and replayed
optimization.py  optimizer, learning rate schedule, averaged weights
memory.py        memory of a step, free memory, the batch size that fits
heap.py          memory that glibc keeps from step to step
saving.py        calls `checkpoint_file`: written beside, verified, then moved in place
"""
