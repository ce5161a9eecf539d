"""The training itself: a run, a leg of it, an epoch, a step.

trainer.py       a leg begun from a run folder, written down, recorded as failed where something ends it early
leg.py           its preparation, its epochs, what is kept after each, its end
other_ranks.py   what the processes beside rank 0 do
preflight.py     what is tried, and what is warned of, before an epoch is spent
loop.py          the training loop: a generator of records, without a file written
progress.py      how far it has come
step.py          one step, whole or in parts where memory is short
optimization.py  the optimizer, the learning rate schedule, the averaged weights
batches.py       the batch size that fits, and this process's part of each batch
memory.py        what a step takes, and what is free
saving.py        checkpoints written beside, opened again and compared before they take their place
"""
