"""What a trained model says about photos that nobody has labelled yet.

proposing.py      masks for them, written one by one; no torch until a checkpoint is opened
class_mapping.py  which class of the data set each class of the model becomes; no torch
ranking.py        which of them to label next, each with a score and a reason; no torch
"""
