"""From masks to numbers that can be trusted: count first, score after.

confusion.py     one image -> its confusion counts; counts -> IoU
boundary.py      one image -> counts along the contours (boundary IoU, boundary F)
errors.py        one image -> wrong pixels by kind
calibration.py   confidence of pixels -> bins -> reliability curve, ECE
scores.py        counts of many images -> `Scores`, each in [0, 1] or None, and the floor beside them
conventions.py   the same counts -> the mean IoU of other libraries; published results
guard.py         scores -> what is odd about them and its likely cause, in words
image_scores.py  one image -> all that is counted on it; counts of two predictions -> who gained, who lost
object_size.py   counts -> IoU against how much of an image a class covers
comparison.py    counts of two predictions on the same images -> difference, interval, verdict; ranking
verdict.py       the verdict in a sentence

Counts are int64 and are added; scores are never averaged over batches. Nothing here imports torch or streamlit.
"""
