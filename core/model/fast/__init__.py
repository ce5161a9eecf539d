"""A model's function, computed cheaper.

inference.py     a copy of a model for prediction: folded, packed, fused
onednn.py        convolutions by PyTorch's private operations, behind one switch
convolutions.py  dilated convolutions that skip padding; depthwise ones with faster gradients
"""
