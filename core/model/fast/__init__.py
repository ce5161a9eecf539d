"""What makes a model cheaper and leaves its function as it is.

inference.py     a copy of a model made ready to predict: folded, packed, fused
convolutions.py  dilated ones that leave padding out; depthwise ones with faster gradients
"""
