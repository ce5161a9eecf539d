"""What the Segment page shows.

models.py           what there is to segment with
photo_look.py       settings (test-time augmentation, tiles, view), and the picture they ask for
photo_view.py       pictures of one photo, by one model or two, and the class under the pointer
trust.py            what is promised of a photo, and how unlike the training photos it is
why_here.py         a click on a photo: why the model saw that class there
contact_sheet.py    several photos as small pictures, and the way to each and back
exports.py          files to download: masks, overlays, tables, the model; the way to correct masks on Label
photo_source.py     where photos come from: uploads, Home, the camera, samples of a run or of Atrous
cached_segments.py  open models and what they made of photos, kept between reruns
"""
