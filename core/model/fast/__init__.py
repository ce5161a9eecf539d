"""What makes a model cheaper and leaves its function as it is.

inference.py  a copy of a model made ready to predict: folded, packed, fused
dilated.py    dilated convolutions that leave padding out, tap by tap
depthwise.py  depthwise convolutions with faster gradients
"""
