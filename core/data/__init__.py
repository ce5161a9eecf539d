"""Data sets: reading, loading, statistics, checks, repair, import.

dataset.py      the photos, masks and splits of a folder
seeding.py      random choices that follow from the seed of a run
splits.py       random and stratified splits
split_view.py   other splits of a data set, whose photos stay where they are
images.py       reading photos upright and masks; writing masks as VOC does
srgb.py         any mode and colour profile -> 8-bit sRGB
bit_depth.py    photos of more than 8 bits or other than 1, 3 or 4 bands: which are read, and how they are scaled
corruptions.py  photos made worse on purpose: blur, noise, JPEG, brightness, contrast, rotation, scale
geometry.py     where a photo of any shape lies in the model's square
pair_names.py   reading and comparing the names of photos, masks and list entries
hashing.py      SHA-256 of files, cached until a file changes
voc2012.py      PASCAL VOC 2012, from the web or from a tar
analysis.py     statistics and findings from one pass, cached until a file changes
loading/        pairs -> seeded batches of tensors
statistics/     numbers about pairs and splits
doctor/         what is wrong with a data set
repair/         a repaired copy of a data set
importers/      annotations of other tools -> a data set
labelling/      masks that a person draws
exporters/      drawn masks and proposals for CVAT and Label Studio
demo/           the drawn data set
"""
