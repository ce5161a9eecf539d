"""Projects and exports of VGG Image Annotator: https://www.robots.ox.ac.uk/~vgg/software/via"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.data.importers.scene import LABELS, PHOTOS, Photo, Truth, source, write, write_photo


def _via_regions(photo: Photo) -> list[dict[str, Any]]:
    regions = []
    for label in LABELS:
        xs, ys = zip(*photo.corners(label), strict=True)
        shape = {"name": "polygon", "all_points_x": [*xs], "all_points_y": [*ys]}
        regions.append({"shape_attributes": shape, "region_attributes": {"label": label}})
    point = {"name": "point", "cx": 1, "cy": 1}
    return [*regions, {"shape_attributes": point, "region_attributes": {"label": "tip"}}]


def _via_entries(folder: Path, photos: Sequence[Photo]) -> dict[str, Any]:
    entries = {}
    for photo in photos:
        size = write_photo(folder / photo.split / f"{photo.name}.jpg", photo).stat().st_size
        about = {"filename": f"{photo.name}.jpg", "size": size, "file_attributes": {"seen by": "me"}}
        entries[f"{photo.name}.jpg{size}"] = about | {"regions": _via_regions(photo)}
    return entries


@source
def via_project(folder: Path) -> Truth:
    """A project of VIA 2."""
    options = {"leaf": "", "stem": "", "wurzel ß": ""}
    attributes = {"region": {"label": {"type": "dropdown", "options": options}}, "file": {"seen by": {"type": "text"}}}
    document = {"_via_settings": {"project": {"name": "x"}}, "_via_img_metadata": _via_entries(folder, PHOTOS)}
    write(folder / "project.json", document | {"_via_attributes": attributes})
    return Truth("via")


@source
def via_json_of_version_1(folder: Path) -> Truth:
    """A file beside the photos of each split, whose regions are in an object."""
    for split in ("train", "val"):
        entries = _via_entries(folder, [photo for photo in PHOTOS if photo.split == split])
        for entry in entries.values():
            entry["regions"] = {str(at): region for at, region in enumerate(entry["regions"])}
            entry |= {"fileref": "", "base64_img_data": ""}
        write(folder / split / "via_region_data.json", entries)
    return Truth("via")


@source
def via_csv(folder: Path) -> Truth:
    head = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    lines = ["#" + head]
    for entry in _via_entries(folder, PHOTOS).values():
        for at, region in enumerate(entry["regions"]):
            texts = [entry["file_attributes"], region["shape_attributes"], region["region_attributes"]]
            seen, shape, said = ('"' + json.dumps(text, ensure_ascii=False).replace('"', '""') + '"' for text in texts)
            lines.append(f"{entry['filename']},{entry['size']},{seen},{len(entry['regions'])},{at},{shape},{said}")
    write(folder / "via_export_csv.csv", "\n".join(lines) + "\n")
    return Truth("via")
