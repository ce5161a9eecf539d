"""A run is a folder: the trainer writes it, everything else reads it. No torch, no streamlit.

folders.py      creates, lists, starts and extends runs; decides a state: running, stalled, finished, crashed, ...
edits.py        renames a run, edits its note, deletes it
records.py      the records of log.jsonl, one JSON object a line
log.py          the writer of log.jsonl, and the reader that follows it
sinks.py        the same numbers as log.csv and TensorBoard events
milestones.py   file names with an epoch, and their order
changes.py      settings and data that changed since the last leg
machine.py      the lock that lets one training at a time run on a machine
openings.py     the record of each time that a test split was opened
trained_on.py   which photos a run trained on, and whether some are now in test
evaluations.py  stored evaluations: scores and predicted masks in eval/
robustness.py   stored scores on corrupted photos, beside them
learning.py     whether a run learns, or why its score is near the floor
health.py       problems of a run, and what to do about them
"""
