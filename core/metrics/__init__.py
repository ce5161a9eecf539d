"""Masks -> counts -> scores.

confusion.py     one image -> its confusion counts; counts -> IoU
boundary.py      one image -> counts along the contours (boundary IoU, boundary F)
errors.py        one image -> wrong pixels by kind
calibration.py   confidence of pixels -> bins -> reliability curve, ECE
scores.py        counts of many images -> `Scores`, each in [0, 1] or None, and the floor beside them
conventions.py   the same counts -> the mean IoU of other libraries; published results
guard.py         implausible scores -> their likely cause in words
image_scores.py  one image -> all its counts; counts of two predictions -> images with gains and losses
object_size.py   counts -> IoU by object size
comparison.py    counts of two predictions on the same images -> difference, interval, verdict; ranking
verdict.py       the verdict in a sentence

Counts are int64 and are summed over images before scores are computed. No module imports torch or streamlit.
"""
