"""A model: building DeepLabV3, its starting weights, checkpoints, and turning a photo into a mask.

architectures.py  torchvision's DeepLabV3 with the output stride as a choice
efficientnet.py   EfficientNet-Lite0 as a backbone, and its installed ImageNet weights
device.py         GPU or CPU, fp32 or bf16
weights/          where a model starts from, and the models on offer
checkpoint/       files of weights: ours and those from elsewhere
predict/          photo -> mask
fast/             the same functions, computed cheaper
photo/            any file -> RGB photo, or one sentence
output/           masks -> pictures and files
"""
