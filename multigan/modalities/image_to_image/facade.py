"""Draws facades of houses with their label maps, from random numbers.

A house stands on a pavement before the sky: a wall of bricks, stones or plaster, storeys of windows with or without
shutters and balconies, a door, cornices, and a roof. The label map says what each pixel shows, exactly; the picture
has the light, the shadows, the colours and the materials besides.
"""

from __future__ import annotations

from functools import lru_cache

import numpy
from numpy.typing import NDArray

Map = NDArray[numpy.uint8]
Colours = NDArray[numpy.float64]
# Rectangles: first row, last row + 1, first column, last column + 1. A part of one may be hidden by another.
Places = list[tuple[int, int, int, int]]

SIDE = 64
# The classes, by number, each with the colour of its palette entry.
CLASSES: dict[str, tuple[int, int, int]] = {
    "sky": (120, 180, 240),
    "roof": (150, 60, 50),
    "wall": (225, 200, 150),
    "cornice": (140, 120, 220),
    "window": (30, 60, 160),
    "shutter": (40, 140, 80),
    "balcony": (230, 120, 190),
    "door": (240, 140, 20),
    "pavement": (110, 110, 110),
}
SKY, ROOF, WALL, CORNICE, WINDOW, SHUTTER, BALCONY, DOOR, PAVEMENT = range(len(CLASSES))

# Colours of red, green and blue from 0 to 1.
WALLS = (
    (0.70, 0.36, 0.28),
    (0.84, 0.74, 0.56),
    (0.78, 0.78, 0.76),
    (0.88, 0.66, 0.50),
    (0.62, 0.68, 0.72),
    (0.90, 0.86, 0.72),
)
ROOFS = ((0.52, 0.22, 0.17), (0.30, 0.32, 0.37), (0.45, 0.30, 0.22), (0.36, 0.44, 0.42))
PAINTS = ((0.16, 0.34, 0.26), (0.45, 0.13, 0.12), (0.16, 0.24, 0.42), (0.36, 0.24, 0.15), (0.82, 0.80, 0.74))
SKIES = (
    ((0.42, 0.62, 0.88), (0.78, 0.87, 0.95)),
    ((0.66, 0.70, 0.75), (0.84, 0.86, 0.88)),
    ((0.45, 0.50, 0.74), (0.97, 0.78, 0.60)),
)

row, column = numpy.mgrid[:SIDE, :SIDE]


def facade(number: int, seed: int = 0) -> tuple[Map, NDArray[numpy.uint8]]:
    """Facade ``number``: its class numbers, uint8 ``(64, 64)``, and its picture, uint8 ``(64, 64, 3)``.

    Args:
        number: Which one; each has random numbers of its own.
        seed: Another seed gives other facades.
    """
    random = numpy.random.Generator(numpy.random.Philox(key=[seed, number]))
    classes, places = plan(random)
    picture = paint(random, classes, places)
    return classes, (255 * picture.clip(0, 1)).round().astype(numpy.uint8)


def plan(random: numpy.random.Generator) -> tuple[Map, dict[int, Places]]:
    """The label map of a random house, and where its windows, balconies and doors are."""
    classes = numpy.full((SIDE, SIDE), SKY, numpy.uint8)
    ground = int(random.integers(57, 61))
    left, right = int(random.integers(2, 10)), int(random.integers(54, 63))
    top = int(random.integers(11, 22))
    classes[ground:] = PAVEMENT
    classes[top:ground, left:right] = WALL
    draw_roof(random, classes, left, right, top)
    count = 2 if ground - top < 38 else int(random.integers(2, 4)) if ground - top < 44 else 3
    ends = [top + round((ground - top) * (storey + 1) / count) for storey in range(count)]
    columns = int(random.integers(2, 5)) if right - left > 48 else int(random.integers(2, 4))
    pitch = (right - left) / columns
    wide = min(int(random.integers(5, 10)), int(pitch - 5))
    shutters = bool(random.random() < 0.45) and pitch - wide >= 8
    balconies = random.random() < 0.45
    cornices = random.random() < 0.7
    door = int(random.integers(columns))
    arched = random.random() < 0.3
    places: dict[int, Places] = {WINDOW: [], BALCONY: [], DOOR: []}
    for storey, bottom in enumerate(ends):
        above = ends[storey - 1] if storey else top
        tall = bottom - above
        last = storey == count - 1
        high = min(int(random.integers(7, 12)), tall - 5)
        upper = above + (tall - high) // 2 + (0 if last else 1)
        for number in range(columns):
            middle = left + pitch * (number + 0.5)
            x = round(middle - wide / 2)
            if last and number == door:
                width, height = max(wide, 6), min(tall - 2, 14)
                x = round(middle - width / 2)
                classes[bottom - height : bottom, x : x + width] = DOOR
                places[DOOR].append((bottom - height, bottom, x, x + width))
                continue
            classes[upper : upper + high, x : x + wide] = WINDOW
            places[WINDOW].append((upper, upper + high, x, x + wide))
            if arched and not last:
                classes[upper, [x, x + wide - 1]] = WALL
            if shutters and not last:
                classes[upper : upper + high, x - 3 : x] = SHUTTER
                classes[upper : upper + high, x + wide : x + wide + 3] = SHUTTER
            if balconies and storey == count - 2:
                start, end = max(x - 2, left), min(x + wide + 2, right)
                classes[upper + high - 3 : upper + high + 1, start:end] = BALCONY
                places[BALCONY].append((upper + high - 3, upper + high + 1, start, end))
        if cornices and not last:
            classes[bottom - 1 : bottom + 1, left:right] = CORNICE
    classes[top : top + 2, max(left - 1, 0) : right + 1] = CORNICE
    return classes, places


def draw_roof(random: numpy.random.Generator, classes: Map, left: int, right: int, top: int) -> None:
    """A gabled, a hipped or a flat roof above row ``top``, perhaps with chimneys."""
    kind = random.choice(["gable", "hip", "flat"], p=[0.35, 0.45, 0.2])
    high = int(random.integers(6, top - 2)) if kind != "flat" else 2
    inset = {"gable": (right - left) / 2, "hip": random.uniform(4, 14), "flat": 0.0}[str(kind)]
    for _ in range(int(random.integers(0, 3))):
        x = int(random.integers(left + 8, right - 12))
        classes[max(top - high - 3, 0) : top, x : x + int(random.integers(3, 6))] = ROOF
    share = (top - row) / high  # of the way up
    inside = (share > 0) & (share <= 1) & (column >= left - 1 + share * inset) & (column < right + 1 - share * inset)
    classes[inside] = ROOF


def paint(random: numpy.random.Generator, classes: Map, places: dict[int, Places]) -> Colours:
    """The picture of a label map, ``(64, 64, 3)`` from 0 to 1 and a little beyond."""
    picture = sky(random)
    wall = varied(random, WALLS)
    trim = wall * 0.35 + 0.62 * numpy.array([1.0, 0.98, 0.94])
    frame = varied(random, PAINTS[4:]) if random.random() < 0.7 else varied(random, PAINTS)
    wood = varied(random, PAINTS[:4])
    layers = {
        ROOF: roof_tiles(random),
        WALL: masonry(random, wall),
        CORNICE: numpy.broadcast_to(trim, (SIDE, SIDE, 3)),
        SHUTTER: (0.85 + 0.15 * (row % 2 == 0))[..., None] * wood,
        PAVEMENT: paving(random),
    }
    for number, layer in layers.items():
        here = classes == number
        picture[here] = layer[here]
    glaze(random, picture, classes, places[WINDOW], frame)
    hang_doors(picture, places[DOOR], varied(random, PAINTS[:4]))
    railings(picture, places[BALCONY], random.uniform(0.08, 0.25))
    picture *= light(random, classes)[..., None]
    warmth = numpy.array([1.0, 1.0, 1.0]) + random.uniform(-0.05, 0.05) * numpy.array([1.0, 0.1, -1.0])
    picture *= warmth
    picture += 0.012 * random.standard_normal(picture.shape, numpy.float32)
    return picture


def varied(random: numpy.random.Generator, colours: tuple[tuple[float, float, float], ...]) -> Colours:
    """One of the colours, a little lighter, darker and different."""
    colour = numpy.array(colours[int(random.integers(len(colours)))])
    return numpy.asarray((colour * random.uniform(0.85, 1.1) + random.normal(0, 0.025, 3)).clip(0, 1))


def smooth(random: numpy.random.Generator, cells: int) -> Colours:
    """Smooth noise ``(64, 64)`` from about -1 to 1, with so many cells along a side."""
    knots = random.uniform(-1, 1, (cells + 1, cells + 1))
    whole, share = between(cells)
    steps = numpy.diff(knots, axis=1)
    across = knots[:, whole] + steps[:, whole] * share
    return numpy.asarray(across[whole] + numpy.diff(across, axis=0)[whole] * share[:, None])


@lru_cache
def between(cells: int) -> tuple[NDArray[numpy.int64], Colours]:
    """For each of 64 pixels, the knot before it, and how much of the way to the next counts."""
    place = numpy.arange(SIDE) * cells / SIDE
    whole = place.astype(numpy.int64)
    share = place - whole
    return whole, share * share * (3 - 2 * share)


def sky(random: numpy.random.Generator) -> Colours:
    high, low = (numpy.array(colour) for colour in SKIES[int(random.integers(len(SKIES)))])
    share = (numpy.arange(SIDE) / 40).clip(0, 1)[:, None, None]
    clouds = (smooth(random, 5) + 0.5 * smooth(random, 11) - random.uniform(-0.2, 0.8)).clip(0, 1)[..., None] * 0.7
    return numpy.asarray((high * (1 - share) + low * share) * (1 - clouds) + clouds * 0.96)


def masonry(random: numpy.random.Generator, colour: Colours) -> Colours:
    """A wall of bricks, of stone blocks, or plastered."""
    kind = random.choice(["brick", "stone", "plaster"])
    tone = 1 + 0.05 * smooth(random, 6)
    if kind == "plaster":
        tone += 0.035 * smooth(random, 20) - 0.12 * (smooth(random, 4) * row / SIDE).clip(0, 1)
        return numpy.asarray(tone[..., None] * colour)
    high, wide = (3, 6) if kind == "brick" else (6, 10)
    course = row // high
    along = column + (course % 2) * (wide // 2)
    stones = random.normal(0, 0.07 if kind == "brick" else 0.05, (SIDE // high + 1, SIDE // wide + 2))
    tone += stones[course, along // wide]
    joint = (row % high == 0) | (along % wide == 0)
    mortar = colour * 0.55 + 0.28 if kind == "brick" else colour * 0.8
    return numpy.where(joint[..., None], mortar, tone[..., None] * colour)


def roof_tiles(random: numpy.random.Generator) -> Colours:
    tone = 0.95 + 0.08 * smooth(random, 8) - 0.16 * (row % 3 == 0) - 0.05 * ((column + row // 3 * 2) % 4 == 0)
    return numpy.asarray(tone[..., None] * varied(random, ROOFS))


def paving(random: numpy.random.Generator) -> Colours:
    joint = (row % 4 == 0) | ((column + row // 4 * 5) % 11 == 0)
    tone = random.uniform(0.4, 0.58) + 0.04 * smooth(random, 10) - 0.08 * joint
    return numpy.asarray(tone[..., None] * numpy.array([1.0, 0.98, 0.95]))


def glaze(random: numpy.random.Generator, picture: Colours, classes: Map, places: Places, frame: Colours) -> None:
    """Panes that mirror the sky or are lit from inside, in frames with bars."""
    lit = random.random() < 0.35
    bars = random.random() < 0.8
    for top, bottom, left, right in places:
        high, wide = bottom - top, right - left
        y, x = row[:high, :wide], column[:high, :wide]
        if lit and random.random() < 0.5:
            glass = numpy.array([0.98, 0.82, 0.48]) * (0.75 + 0.25 * y / high)[..., None]
        else:
            gleam = 0.22 + 0.25 * (1 - y / high) + 0.16 * ((x + y - random.integers(2, 9)) % 9 < 2)
            glass = gleam[..., None] * numpy.array([0.85, 1.0, 1.2])
        for edge in (0, high - 1, high // 3)[: 2 + bars]:
            glass[edge] = frame
        for edge in (0, wide - 1, wide // 2)[: 2 + bars]:
            glass[:, edge] = frame
        here = classes[top:bottom, left:right] == WINDOW
        picture[top:bottom, left:right][here] = glass[here]


def hang_doors(picture: Colours, places: Places, paint: Colours) -> None:
    """Doors of two leaves with panels, a light above and a handle."""
    for top, bottom, left, right in places:
        high, wide = bottom - top, right - left
        y, x = row[:high, :wide], column[:high, :wide]
        tone = 1.0 - 0.3 * (x == wide // 2) + 0.18 * ((x % (wide // 2) == 1) & (y % 5 != 0)) - 0.12 * (y % 5 == 0)
        leaf = tone[..., None] * paint
        leaf = numpy.where(((y > 0) & (y < 3) & (x > 0) & (x < wide - 1))[..., None], [0.42, 0.5, 0.56], leaf)
        leaf[high // 2 + 1, wide // 2 + 1] = 0.85, 0.7, 0.3
        picture[top:bottom, left:right] = leaf


def railings(picture: Colours, places: Places, tone: float) -> None:
    """Balconies: a slab below and bars above, with what is behind them darkened."""
    for top, bottom, left, right in places:
        y, x = row[: bottom - top, : right - left], column[: bottom - top, : right - left]
        iron = (y == 0) | (x % 2 == 0)
        part = numpy.where(iron[..., None], tone, 0.42)
        picture[top:bottom, left:right] = numpy.where((y == bottom - top - 1)[..., None], 0.7, part)


def light(random: numpy.random.Generator, classes: Map) -> Colours:
    """How bright each pixel is lit: by the sun from a side, with shadows under and beside what stands out."""
    side = -1 if random.random() < 0.5 else 1
    strength = random.uniform(0.15, 0.45)
    flat = numpy.isin(classes, (WALL, WINDOW, SHUTTER, DOOR))
    outstanding = numpy.isin(classes, (CORNICE, BALCONY))
    shadow = numpy.zeros((SIDE, SIDE))
    for down, along, share in ((1, 0, 1.0), (2, side, 0.7), (3, side, 0.4)):
        cast = numpy.zeros_like(outstanding)
        cast[down:] = numpy.roll(outstanding, along, 1)[:-down]
        shadow = numpy.maximum(shadow, share * (cast & flat))
    reveal = numpy.zeros_like(flat)  # windows lie deeper than the wall: their upper edge is in its shadow
    opening = numpy.isin(classes, (WINDOW, DOOR))
    reveal[1:] = opening[1:] & ~opening[:-1]
    shadow = numpy.maximum(shadow, 0.8 * reveal)
    house = ~numpy.isin(classes, (SKY,))
    slope = 1 + side * 0.12 * (column - SIDE / 2) / SIDE + 0.06 * (1 - row / SIDE)
    brightness = random.uniform(0.85, 1.08)
    return numpy.asarray(numpy.where(house, brightness * slope, 1.0) * (1 - strength * shadow))
