"""A run is a folder: the trainer writes it, everything else reads it. Neither torch nor streamlit.

folders.py      creating, listing, starting and extending runs, and what state one is in
edits.py        rename a run, note something about it, delete it
records.py      the records of log.jsonl, one JSON object a line
log.py          its one writer, and the reader that follows it
sinks.py        the same numbers as log.csv and as TensorBoard's event files
milestones.py   names that hold an epoch, and their order
changes.py      what was changed since the last leg: in words, or refused
machine.py      one training at a time on a machine
evaluations.py  stored evaluations: scores and predicted masks in eval/
health.py       what is wrong with a run and what to do about it
"""
