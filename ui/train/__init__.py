"""What the Train page shows.

new_run.py   setting up a run, its settings drawn from their own declaration
duration.py  how far a run is, how long it will take, and what it took
run_view.py  a run on the screen, the same on Home and on Train
actions.py   stop, resume, extend; rename, note, delete
samples.py   the same photos after each epoch, or as a film
"""
