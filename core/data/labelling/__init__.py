"""Labelling: masks that a person draws, photo by photo, and nothing of theirs lost.

label_set.py      a data set that is being labelled: its photos and how far each is
new_set.py        a new data set from a folder of photos or from uploads
label_file.py     reading, saving, restoring the mask of a photo; marking it done
kept_masks.py     what lies in `labelling/`: the lock, replaced masks, class changes
split_lists.py    the split lists, which hold the photos that are done
class_changes.py  adding, renaming, recolouring and removing classes
findings.py       what the doctor says about the masks that are done
claims.py         which tab has a photo open
regions.py        areas of alike pixels, to take at a click
proposals.py      proposed masks and their ranking, as they are stored
"""

from core.data.labelling.claims import claim, holder, release
from core.data.labelling.class_changes import Usage, add_class, recolor_class, remove_class, rename_class, usage_of
from core.data.labelling.findings import mask_findings
from core.data.labelling.kept_masks import Entry
from core.data.labelling.label_file import (
    KeptInHistoryError,
    Label,
    LabelConflictError,
    TakenOverError,
    accept_proposal,
    history,
    mark_done,
    read_entry,
    read_label,
    remove_label,
    restore,
    save_label,
    version_of,
)
from core.data.labelling.label_set import LabelSet, State, open_label_set
from core.data.labelling.new_set import NewLabelSet, new_label_set, photos_in

__all__ = [
    "Entry", "KeptInHistoryError", "Label", "LabelConflictError", "LabelSet", "NewLabelSet", "State",
    "TakenOverError", "Usage", "accept_proposal", "add_class", "claim", "history", "holder", "mark_done",
    "mask_findings", "new_label_set", "open_label_set", "photos_in", "read_entry", "read_label", "recolor_class",
    "release", "remove_class", "remove_label", "rename_class", "restore", "save_label", "usage_of", "version_of",
]  # fmt: skip
