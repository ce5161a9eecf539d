"""Small data sets whose annotations are masks, as the tools describe them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.unit.data.importers.scene import (
    COLORS,
    LABELS,
    LEAF,
    PHOTOS,
    ROOT,
    STEM,
    Photo,
    Truth,
    save,
    source,
    write,
    write_photo,
)


def _colored(photo: Photo) -> NDArray[np.uint8]:
    return np.array(COLORS, dtype=np.uint8)[photo.mask()]


def _cvat_masks(folder: Path) -> None:
    lines = [
        f"{name}:{red},{green},{blue}::"
        for name, (red, green, blue) in zip(("background", *LABELS), COLORS, strict=True)
    ]
    write(folder / "labelmap.txt", "# label:color_rgb:parts:actions\n" + "\n".join(lines) + "\n")
    for split in ("train", "val"):
        names = [photo.name for photo in PHOTOS if photo.split == split]
        write(folder / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(names) + "\n")
    for photo in PHOTOS:
        save(folder / "SegmentationClass" / f"{photo.name}.png", _colored(photo))
        objects_HW3 = np.array(COLORS[::-1], dtype=np.uint8)[photo.mask()]
        save(folder / "SegmentationObject" / f"{photo.name}.png", objects_HW3)


@source
def cvat_masks(folder: Path) -> Truth:
    """Segmentation mask 1.1, with images."""
    _cvat_masks(folder)
    for photo in PHOTOS:
        write_photo(folder / "JPEGImages" / f"{photo.name}.jpg", photo)
    return Truth("color-table", is_exact=True)


@source
def cvat_masks_without_images(folder: Path) -> Truth:
    """Segmentation mask 1.1, without images: they are in a folder that a person names."""
    _cvat_masks(folder / "export")
    for photo in PHOTOS:
        write_photo(folder / "photos" / f"{photo.name}.png", photo)
    return Truth("color-table", is_exact=True, options={"photos": folder / "photos", "source": folder / "export"})


@source
def camvid(folder: Path) -> Truth:
    """CVAT's CamVid: a folder of photos and one of masks for each split, and lists of pairs."""
    lines = [f"{red} {green} {blue} {name}" for name, (red, green, blue) in zip(LABELS, COLORS[1:], strict=True)]
    write(folder / "label_colors.txt", "0 0 0 background\n" + "\n".join(lines) + "\n")
    for split in ("train", "val"):
        photos = [photo for photo in PHOTOS if photo.split == split]
        pairs = [f"/{split}/{photo.name}.jpg /{split}annot/{photo.name}.png\n" for photo in photos]
        write(folder / f"{split}.txt", "".join(pairs))
        for photo in photos:
            write_photo(folder / split / f"{photo.name}.jpg", photo)
            save(folder / f"{split}annot" / f"{photo.name}.png", _colored(photo))
    return Truth("color-table", is_exact=True)


@source
def roboflow_masks(folder: Path) -> Truth:
    """Roboflow's semantic masks: https://docs.roboflow.com/datasets/exporting-data (png-mask-semantic)."""
    table = "Pixel Value, Class\n0, background\n" + "".join(f"{at}, {name}\n" for at, name in enumerate(LABELS, 1))
    for photo in PHOTOS:
        split_folder = folder / {"train": "train", "val": "valid"}[photo.split]
        write(split_folder / "_classes.csv", table)
        write_photo(split_folder / f"{photo.name}.jpg", photo)
        save(split_folder / f"{photo.name}_mask.png", photo.mask())
    return Truth("id-masks", is_exact=True)


@source
def nested_masks(folder: Path) -> Truth:
    """Masks of ids as mmsegmentation arranges them: img_dir/train and ann_dir/train."""
    for photo in PHOTOS:
        write_photo(folder / "img_dir" / photo.split / f"{photo.name}.jpg", photo)
        save(folder / "ann_dir" / photo.split / f"{photo.name}.png", photo.mask())
    write(folder / "classes.txt", "background\n" + "\n".join(LABELS) + "\n")
    return Truth("id-masks", is_exact=True)


@source
def masks_of_classes(folder: Path) -> Truth:
    """One mask for each class, in folders called after the classes."""
    for photo in PHOTOS:
        write_photo(folder / "images" / photo.split / f"{photo.name}.jpg", photo)
        for label in LABELS:
            save(folder / "masks" / photo.split / label / f"{photo.name}.png", photo.region(label))
    return Truth("class-masks", is_exact=True)


@source
def coco_panoptic(folder: Path) -> Truth:
    """Segments by colour, two of them of one class; black pixels are void, and so is a crowd."""
    masks = {}
    for split in ("train", "val"):
        images, annotations = [], []
        for photo in (photo for photo in PHOTOS if photo.split == split):
            truth_HW, number_HW = photo.mask(), np.full(photo.size[::-1], 70_000)
            segments: list[dict[str, Any]] = [{"id": 70_000, "category_id": 1}]
            for class_id, category in enumerate((17, 201, 92), start=1):
                number_HW[truth_HW == class_id] = class_id * 257
                segments.append({"id": class_id * 257, "category_id": category})
            number_HW[-2:], truth_HW[-2:] = 0, 255
            number_HW[0, :4], number_HW[0, 4:7], truth_HW[0, 4:7] = 5, 65_536, 255
            segments += [{"id": 5, "category_id": 1}, {"id": 65_536, "category_id": 17, "iscrowd": 1}]
            colors_HW3 = np.stack([number_HW % 256, number_HW // 256 % 256, number_HW // 65_536], axis=2)
            save(folder / "annotations" / f"panoptic_{split}2017" / f"{photo.name}.png", colors_HW3.astype(np.uint8))
            write_photo(folder / f"{split}2017" / f"{photo.name}.png", photo)
            image_id = f"id of {photo.name}"
            images.append({"id": image_id, "file_name": f"{photo.name}.png", "width": photo.size[0]})
            annotations.append({"image_id": image_id, "file_name": f"{photo.name}.png", "segments_info": segments})
            masks[photo.name.replace(" ", "_")] = truth_HW
        named = zip((1, 17, 92, 201), ("background", LEAF, ROOT, STEM), strict=True)
        categories = [{"id": number, "name": name, "isthing": 1, "color": [1, 2, 3]} for number, name in named]
        document = {"images": images, "annotations": annotations, "categories": categories}
        write(folder / "annotations" / f"panoptic_{split}2017.json", document)
    classes = ("background", LEAF, ROOT, STEM)
    swapped = np.array([0, 1, 3, 2, *range(4, 256)], dtype=np.uint8)
    return Truth("coco-panoptic", True, classes, {name: swapped[mask_HW] for name, mask_HW in masks.items()})
