"""What Home shows.

hero.py       a photo under a line that moves, and the drop zone for one's own
next_step.py  the next step after the newest run, and the three doors to a new one
runs.py       the newest runs as cards, all as a table; the data sets that runs used
"""
