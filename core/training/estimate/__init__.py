"""How long a training will take on this machine.

training_time.py     the estimate, and settings that would take less
timing.py            times real steps, validation and a checkpoint
stored_estimates.py  estimates on disk, and how a run compares; no torch
"""
