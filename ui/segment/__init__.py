"""What the Segment page shows.

models.py           what there is to segment with
photo_look.py       how often a photo goes through the model, and how it is looked at
photo_view.py       its pictures, and what is under the pointer
photo_pair.py       two models on one photo
exports.py          files to download: masks, overlays, tables, the model
sample_photos.py    a run's validation photos, and those that come with Atrous
cached_segments.py  open models and what they made of photos, kept between reruns
"""
