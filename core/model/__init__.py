"""Model: building DeepLabV3, its starting weights, checkpoints, and turning a photo into a mask."""
