"""A model's function, computed cheaper.

inference.py     a copy of a model for prediction: folded, packed by private operations behind one switch, fused
convolutions.py  dilated convolutions that skip padding
depthwise.py     depthwise convolutions with faster gradients
"""
