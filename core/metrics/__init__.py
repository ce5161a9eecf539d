"""From masks to numbers that can be trusted: count first, score after.

    confusion.py    one image -> its confusion counts; counts -> IoU
    boundary.py     one image -> counts along the contours (boundary IoU)
    scores.py       counts of many images -> `Scores`, every one of them in [0, 1] or None, and the floor beside them
    conventions.py  the same counts -> the mean IoU that other libraries would print
    comparison.py   counts of two predictions on the same images -> difference, interval, verdict; ranking
    verdict.py      the verdict in a sentence

Counts are int64 and are added; scores are never averaged over batches. Nothing here imports torch or streamlit.
"""
