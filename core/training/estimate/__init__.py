"""How long a training will take on this machine.

training_time.py     the estimate, added up from what was timed
alternatives.py      what would take less, and what it gives up
timing.py            real steps, validation and a checkpoint, timed
step_timing.py       a step of any batch size
stored_estimates.py  estimates on disk, held against what a run took
"""
