"""A model's function, computed cheaper.

inference.py       a copy of a model for prediction: folded, packed, fused
packed.py          convolutions with packed weights, by private operations behind one switch
columns.py         dilated convolutions by columns of their kernels, with AVX2
int8.py            convolutions in whole numbers of 8 bits, calibrated on photos
convolutions.py    dilated convolutions that skip padding
depthwise.py       depthwise convolutions with faster gradients
pointwise.py       1 x 1 convolutions whose kernel's gradient is a matrix product
pooling_branch.py  ASPP in training, without a map for its pooling branch
dynamo.py          PyTorch's compiler, imported by what compiles alone
"""
