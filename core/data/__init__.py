"""Data: folders of photos and masks, how they become tensors, what is in them, and the drawn demo data."""
