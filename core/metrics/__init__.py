"""Masks -> counts -> scores.

confusion.py     one image -> its confusion counts; counts -> IoU of each class
boundary.py      one image -> counts along the contours (boundary IoU, boundary F)
errors.py        one image -> wrong pixels by kind
calibration.py   confidence of pixels -> bins -> reliability curve, ECE
risk.py          confidence of pixels -> what is right of those kept; a threshold for a promise
temperature.py   calibration after dividing logits by one number
unlikeness.py    features of photos -> distance from those of training photos
scores.py        counts of many images -> `Scores`: mIoU, accuracies, the floor; refuses a score outside [0, 1]
conventions.py   the same counts -> the mean IoU of other libraries; published results
guard.py         explains an odd score: what is unlikely about it, and the usual cause
image_scores.py  one image -> everything counted on it; which images gained and lost most between A and B
object_size.py   counts -> IoU by object size
comparison.py    counts of A and B on the same images -> difference of mIoU, its interval, the verdict
verdict.py       the verdict in a sentence

Counts are int64 and are summed over images before scores are computed. No module imports torch or streamlit.
"""
