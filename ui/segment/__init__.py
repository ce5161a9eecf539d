"""What the Segment page shows.

models.py           what there is to segment with
model_export.py     a model as a file for other programs
tta_form.py         how often a photo goes through the model
photo_look.py       how a segmented photo is looked at
photo_view.py       its pictures
photo_inspector.py  what is under the pointer
photo_pair.py       two models on one photo
photo_downloads.py  what is taken away
sample_photos.py    a run's validation photos, and those that come with Atrous
cached_segments.py  open models and what they made of photos, kept between reruns
"""
