"""The commands of `python -m core`: each module has the functions that act, and `add_to`, their arguments."""
