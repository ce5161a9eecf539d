"""Small data sets in the formats of other tools, written from the descriptions that the tools publish.

`SOURCES[name](folder)` writes one and returns the truth about it.
"""

import base64
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.mask import encode

from tests.unit.data.importers import mask_sources, via_sources
from tests.unit.data.importers.scene import (
    CORNERS,
    LABELS,
    LAST_PIXELS,
    LAST_PIXELS_OF_HOLE,
    LEAF,
    PHOTOS,
    ROOT,
    SOURCES,
    STEM,
    Photo,
    Region,
    Truth,
    boxed,
    flat,
    png_bytes,
    runs,
    save,
    source,
    write,
    write_photo,
)

__all__ = ["SOURCES", "Truth", "mask_sources", "via_sources"]

# --- COCO: https://cocodataset.org/#format-data ----------------------------------------------------------------------


def coco_document(photos: Sequence[Photo], suffix: str = ".jpg") -> dict[str, Any]:
    """Return instances: the leaf, which has a hole, as run lengths of either kind, the others as polygons."""
    images, annotations = [], []
    for image_id, photo in enumerate(photos, start=7):
        width, height = photo.size
        images.append({"id": image_id, "file_name": photo.name + suffix, "width": width, "height": height})
        leaf_HW = photo.region(LEAF)
        packed = encode(np.asfortranarray(leaf_HW.astype(np.uint8)))["counts"].decode()
        leaf = {"size": [height, width], "counts": packed if photo.split == "val" else runs(leaf_HW.ravel(order="F"))}
        outlines = [[flat(photo.moved(CORNERS[label]))] for label in (STEM, ROOT)]
        for category, segmentation in zip((2, 5, 9), [leaf, *outlines], strict=True):
            about = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category, "iscrowd": 0}
            annotations.append(about | {"segmentation": segmentation, "area": 1.0, "bbox": [0, 0, width, height]})
    categories = [{"id": number, "name": label} for number, label in zip((2, 5, 9), LABELS, strict=True)]
    return {"images": images, "annotations": annotations, "categories": categories[::-1]}


@source
def coco(folder: Path) -> Truth:
    for split in ("train", "val"):
        photos = [photo for photo in PHOTOS if photo.split == split]
        write(folder / "annotations" / f"instances_{split}2017.json", coco_document(photos))
        for photo in photos:
            write_photo(folder / f"{split}2017" / f"{photo.name}.jpg", photo)
    return Truth("coco")


@source
def coco_roboflow(folder: Path) -> Truth:
    """A file in each folder, and a first category that stands over the others."""
    for split in ("train", "val"):
        photos = [photo for photo in PHOTOS if photo.split == split]
        document = coco_document(photos)
        categories = [one | {"supercategory": "plants"} for one in document["categories"]]
        document["categories"] = [{"id": 0, "name": "plants", "supercategory": "none"}, *categories]
        split_folder = folder / {"train": "train", "val": "valid"}[split]
        write(split_folder / "_annotations.coco.json", document)
        for photo in photos:
            write_photo(split_folder / f"{photo.name}.jpg", photo)
    return Truth("coco")


@source
def coco_for_each_photo(folder: Path) -> Truth:
    for photo in PHOTOS:
        write(folder / photo.split / f"{photo.name}.json", coco_document([photo]))
        write_photo(folder / photo.split / f"{photo.name}.jpg", photo)
    return Truth("coco")


# --- labelme: https://github.com/wkentaro/labelme --------------------------------------------------------------------


def _sheet(photo: Photo, path: str, data: bytes | None = None) -> dict[str, Any]:
    """Return a sheet of labelme 5: edges belong to shapes; its background makes the hole; the root may be a mask."""
    shapes: list[dict[str, Any]] = [
        {"label": LEAF, "points": photo.moved(LAST_PIXELS[LEAF]), "shape_type": "polygon"},
        {"label": "_background_", "points": photo.moved(LAST_PIXELS_OF_HOLE), "shape_type": "polygon"},
        {"label": STEM, "points": photo.moved([LAST_PIXELS[STEM][2], LAST_PIXELS[STEM][0]]), "shape_type": "rectangle"},
    ]
    root = {"label": ROOT, "points": photo.moved(CORNERS[ROOT]), "shape_type": "polygon"}
    if photo.split == "val":
        left, top, inside_HW = boxed(photo.region(ROOT))
        height, width = inside_HW.shape
        mask = base64.b64encode(png_bytes(inside_HW)).decode()
        corners = [[left, top], [left + width - 1, top + height - 1]]
        root |= {"shape_type": "mask", "points": corners, "mask": mask}
    extra = {"group_id": None, "description": "", "flags": {}}
    about = {"version": "5.5.0", "flags": {}, "shapes": [shape | extra for shape in [*shapes, root]]}
    carried = base64.b64encode(data).decode() if data else None
    return about | {"imagePath": path, "imageData": carried, "imageWidth": photo.size[0], "imageHeight": photo.size[1]}


@source
def labelme(folder: Path) -> Truth:
    """Sheets beside their photos, one in GB18030 and one in UTF-16, as systems write them that are not in UTF-8."""
    for photo, encoding in zip(PHOTOS, ("utf-16", "utf-8", "gb18030"), strict=True):
        file = write_photo(folder / photo.split / f"{photo.name}.jpg", photo)
        write(file.with_suffix(".json"), _sheet(photo, file.name), encoding)
    return Truth("labelme")


@source
def labelme_carrying_photos(folder: Path) -> Truth:
    """Sheets in which the photos are, and which name others that are not there."""
    for photo in PHOTOS:
        data = write_photo(folder / "gone.png", photo).read_bytes()
        (folder / "gone.png").unlink()
        write(folder / photo.split / "sheets" / f"{photo.name}.json", _sheet(photo, f"..\\{photo.name}.png", data))
    return Truth("labelme")


# --- Label Studio: https://labelstud.io/guide/export ------------------------------------------------------------------


def packed_stroke(region_HW: Region) -> list[int]:
    """Pack a region as Label Studio's brush does, in the plainest way: runs of up to 2**16 values of RGBA."""
    values = np.repeat(region_HW.ravel().astype(np.uint8) * 255, 4)
    bits = f"{values.size:032b}{7:05b}" + f"{15:04b}" * 4
    at = 0
    while at < values.size:
        same = values[at : at + 2**16] == values[at]
        length = len(same) if same.all() else int(same.argmin())
        bits += f"1{3:02b}{length - 1:016b}{values[at]:08b}"
        at += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


def _result(photo: Photo, label: str, *, is_brush: bool) -> dict[str, Any]:
    width, height = photo.size
    kind = "brushlabels" if is_brush else "polygonlabels"
    value: dict[str, Any] = {kind: [label]}
    if is_brush:
        value |= {"format": "rle", "rle": packed_stroke(photo.region(label))}
    else:
        points = [[x / width * 100, y / height * 100] for x, y in photo.corners(label)]
        value |= {"points": points, "closed": True}
    about = {"id": label, "type": kind, "from_name": "label", "to_name": "image", "image_rotation": 0}
    return about | {"original_width": width, "original_height": height, "value": value}


def _label_studio(folder: Path, brushed: tuple[str, ...], *, is_min: bool = False) -> Truth:
    tasks = []
    for number, photo in enumerate(PHOTOS, start=3):
        write_photo(folder / "images" / photo.split / f"{photo.name}.png", photo)
        results = [_result(photo, label, is_brush=label in brushed) for label in LABELS]
        image = f"/data/upload/1/{number:08x}-{photo.name.replace(' ', '_')}.png"
        if is_min:
            task = {"image": image, "id": number, "annotator": 1, "annotation_id": number + 20}
            for one in results:
                plain = one["value"] | {key: one[key] for key in ("original_width", "original_height")}
                task.setdefault("label", []).append(plain)
            tasks.append(task)
            continue
        annotation = {"id": number + 20, "was_cancelled": False, "result": results, "completed_by": 1}
        tasks.append({"id": number, "data": {"image": image}, "annotations": [annotation], "predictions": []})
    write(folder / "export.json", tasks)
    return Truth("label-studio", is_exact=ROOT in brushed)


@source
def label_studio_polygons(folder: Path) -> Truth:
    return _label_studio(folder, ())


@source
def label_studio_brush(folder: Path) -> Truth:
    return _label_studio(folder, LABELS, is_min=True)


@source
def label_studio_polygons_and_brush(folder: Path) -> Truth:
    return _label_studio(folder, (LEAF, ROOT))


@source
def label_studio_pngs(folder: Path) -> Truth:
    """Brush labels as PNG, beside the export that says which photo a task is about."""
    _label_studio(folder, LABELS)
    for number, photo in enumerate(PHOTOS, start=3):
        for label in LABELS:
            name = f"task-{number}-annotation-{number + 20}-by-1-label-{label}-0.png"
            save(folder / name, photo.region(label).astype(np.uint8) * 255)
    return Truth("label-studio", is_exact=True)


# --- CVAT: https://docs.cvat.ai/docs/dataset_management/formats ------------------------------------------------------


@source
def cvat_xml(folder: Path) -> Truth:
    """The XML for images: a mask under polygons, whose order is in `z_order` alone."""
    images = ""
    for number, photo in enumerate(PHOTOS):
        width, height = photo.size
        write_photo(folder / "images" / photo.split / f"{photo.name}.jpg", photo)
        texts = {label: ";".join(f"{x:.2f},{y:.2f}" for x, y in photo.moved(CORNERS[label])) for label in (STEM, ROOT)}
        left, top, leaf_HW = boxed(photo.region(LEAF))
        place = f'left="{left}" top="{top}" width="{leaf_HW.shape[1]}" height="{leaf_HW.shape[0]}"'
        rle = ", ".join(map(str, runs(leaf_HW.ravel())))
        images += f"""
  <image id="{number}" name="{photo.split}/{photo.name}.jpg" subset="{photo.split}" width="{width}" height="{height}">
    <polygon label="{ROOT}" source="manual" occluded="0" points="{texts[ROOT]}" z_order="2"></polygon>
    <polygon label="{STEM}" source="manual" occluded="1" points="{texts[STEM]}" z_order="1">
      <attribute name="age">old</attribute>
    </polygon>
    <mask label="{LEAF}" source="semi-auto" occluded="0" rle="{rle}" {place} z_order="0"></mask>
    <tag label="sunny" source="manual"></tag>
  </image>"""
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta><task/></meta>'
    write(folder / "annotations.xml", f"{head}{images}\n</annotations>\n")
    return Truth("cvat-xml")


# --- others -----------------------------------------------------------------------------------------------------------


@source
def yolo(folder: Path) -> Truth:
    """YOLO's polygons: https://docs.ultralytics.com/datasets/segment"""
    for photo in PHOTOS:
        write_photo(folder / "images" / photo.split / f"{photo.name}.jpg", photo)
        width, height = photo.size
        lines = ""
        for number, label in enumerate(LABELS):
            shares = (f"{x / width:.6f} {y / height:.6f}" for x, y in photo.corners(label))
            lines += f"{number} {' '.join(shares)}\n"
        write(folder / "labels" / photo.split / f"{photo.name}.txt", lines)
    names = "".join(f"  {number}: {label}\n" for number, label in enumerate(LABELS))
    write(folder / "data.yaml", f"path: ../datasets/x # root\ntrain: images/train\nval: images/val\n\nnames:\n{names}")
    return Truth("yolo-seg")


@source
def supervisely(folder: Path) -> Truth:
    """https://docs.supervisely.com: polygons with holes, whose edges belong to them, and bitmaps with an origin."""
    for photo in PHOTOS:
        write_photo(folder / photo.split / "img" / f"{photo.name}.jpg", photo)
        left, top, stem_HW = boxed(photo.region(STEM))
        data = base64.b64encode(zlib.compress(png_bytes(stem_HW))).decode()
        leaf = {"exterior": photo.moved(LAST_PIXELS[LEAF]), "interior": [photo.moved(LAST_PIXELS_OF_HOLE)]}
        objects = [
            {"classTitle": LEAF, "geometryType": "polygon", "points": leaf},
            {"classTitle": STEM, "geometryType": "bitmap", "bitmap": {"data": data, "origin": [left, top]}},
            {"classTitle": ROOT, "geometryType": "polygon",
             "points": {"exterior": photo.moved(CORNERS[ROOT]), "interior": []}},
        ]  # fmt: skip
        size = {"width": photo.size[0], "height": photo.size[1]}
        document = {"description": "", "name": f"{photo.name}.jpg", "size": size, "tags": [], "objects": objects}
        write(folder / photo.split / "ann" / f"{photo.name}.jpg.json", document)
    kinds = zip(LABELS, ("polygon", "bitmap", "polygon"), strict=True)
    classes = [{"title": label, "shape": kind, "color": "#112233"} for label, kind in kinds]
    write(folder / "meta.json", {"classes": classes, "tags": []})
    return Truth("supervisely")
