"""Drawn masks or proposals, in the formats of other tools, so that a team can go on there.

export.py              what is exported, and the formats by name
cvat.py                CVAT's "Segmentation mask 1.1"
label_studio_tasks.py  Label Studio's tasks with brush strokes
labelled_photo.py      a photo with the mask that is exported for it
"""

from core.data.exporters.export import EXPORTERS, NEXT_STEPS, Exported, export_labels

__all__ = ["EXPORTERS", "NEXT_STEPS", "Exported", "export_labels"]
