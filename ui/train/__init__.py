"""What the Train page shows.

new_run.py   the form of a new run
duration.py  progress of a run: epochs done, time left, time taken
run_view.py  a run on the screen, the same on Home and on Train
study_view.py  a study: set up, its progress over all trainings, its runs
details.py   validation photos after each epoch; checkpoints, settings, log and command of a run
actions.py   what follows; stop, resume, extend; rename, note, delete
"""
