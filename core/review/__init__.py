"""What a trained model says about labels: those of photos that nobody has labelled yet, and those that may be wrong.

proposing.py      masks for them, written one by one; no torch until a checkpoint is opened
class_mapping.py  which class of the data set each class of the model becomes; no torch
ranking.py        which of them to label next, each with a score and a reason; no torch
label_review.py   the labels of a data set reviewed: doubted regions, photos by quality, as findings and for the page
label_errors.py   where a model confidently disagrees with a mask; no torch
unseen.py         which model predicts which photo without having trained on it
"""
