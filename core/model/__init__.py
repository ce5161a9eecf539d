"""DeepLabV3: building it, its starting weights, checkpoints, and its masks for photos.

architectures.py  torchvision's DeepLabV3 at output stride 8 or 16
efficientnet.py   EfficientNet-Lite0 as a backbone, and its installed ImageNet weights
device.py         GPU or CPU, fp32 or bf16
device_verdict.py  what a trial found out about the GPU here
weights/          starting weights, and the models on offer
checkpoint/       files of weights, ours and other programs'
predict/          photo -> mask
fast/             faster ways to compute what the model computes
photo.py          any file -> upright RGB photo, or an error in one sentence; what its mask holds
output/           masks -> pictures and files
"""
