"""Six kinds of place, each a painted ground with buildings, routes and spots where things happen.

The camera hangs on the -y side and looks across the origin, so buildings stand on the far side.
"""

import dataclasses

import numpy as np

from . import props
from .geometry import rot_z
from .stage import STATIC, Stage
from .textures import Ground, asphalt, brick, concrete, grass, paving, shutter
from .vehicles import Vehicle

REACH = 30.0  # metres from the origin to the edge of the painted ground
Point = tuple[float, float]


@dataclasses.dataclass
class Target:
    """Something that can be set on fire or blow up: flames stand on `spots` (K, 3)."""

    kind: str
    at: Point
    spots: np.ndarray
    approach: Point
    size: float


@dataclasses.dataclass
class Place:
    """What a story needs to know of a place; coordinates in metres, headings in radians."""

    kind: str
    ground: Ground
    walks: list[list[Point]]
    roads: list[list[Point]]
    stands: list[Point]
    fights: list[Point]
    targets: list[Target]
    crash: list[tuple[int, int | None, Point]]  # road, second road or None for something fixed, where
    seats: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)
    lamps: list[np.ndarray] = dataclasses.field(default_factory=list)
    parked: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)
    azimuth: tuple[float, float] = (-0.7, 0.7)
    distance: tuple[float, float] = (11.0, 15.0)
    height: tuple[float, float] = (4.0, 8.5)
    aim: Point = (0.0, 0.5)
    sunny_parked: int = 0


def _car_target(x: float, y: float, heading: float, approach: Point) -> Target:
    turn = rot_z(heading)
    local = [(1.5, 0.3, 0.9), (0.9, -0.4, 1.0), (0.2, 0.3, 1.3), (-0.5, -0.3, 1.35), (1.7, -0.3, 0.75), (-1.2, 0.3, 1.1), (0.0, 0, 0.9)]
    return Target("car", (x, y), np.array(local) @ turn.T + [x, y, 0], approach, 1.5)


def _bin_target(x: float, y: float, approach: Point, big: bool) -> Target:
    wide, top = (0.5, 1.15) if big else (0.14, 0.8)
    local = np.array([(-wide, 0, top), (wide, 0.1, top), (0, -0.15, top), (0.3 * wide, 0.1, top - 0.2), (-0.4 * wide, -0.3, top - 0.5)])
    return Target("dumpster" if big else "bin", (x, y), local + [x, y, 0], approach, 1.5 if big else 1.2)


def _park(stage: Stage, rng: np.random.Generator, spots: list, share: float) -> list:
    """Fill a share of the spots with parked cars; returns the taken ones."""
    taken = []
    for x, y, heading in spots:
        if rng.random() < share:
            kind = rng.choice(["sedan", "hatchback", "suv", "van"], p=[0.4, 0.32, 0.2, 0.08])
            at = (x + rng.normal(0, 0.08), y + rng.normal(0, 0.12), heading + rng.normal(0, 0.02))
            Vehicle(stage, rng, str(kind), at)
            taken.append(at)
    return taken


def _row(stage: Stage, rng: np.random.Generator, y: float, darkness: float, shops: float, gaps: list | None = None) -> None:
    """A row of houses along y from x = -30 to 30, leaving out the `gaps` (x0, x1)."""
    x = -REACH - rng.uniform(0, 4)
    while x < REACH:
        width = rng.uniform(8, 14)
        blocked = [g for g in gaps or [] if x < g[1] and x + width > g[0]]
        if blocked and x < blocked[0][0] - 4:
            width, blocked = blocked[0][0] - x, []
        if blocked:
            x = blocked[0][1]
            continue
        props.building(stage, rng, x, y, x + width - 0.05, y + 9, int(rng.integers(2, 5)), darkness, rng.random() < shops)
        x += width


def crossing(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Two roads that cross, with zebra crossings and corner houses."""
    ground, tar, white = Ground(rng, REACH, paving(rng)), asphalt(rng), (205, 205, 198)
    ground.rect(-REACH, -4, REACH, 4, tar)
    ground.rect(-4, -REACH, 4, REACH, tar)
    for sign in (-1, 1):
        for side in (-1, 1):
            ground.line((side * 4, sign * 4), (side * REACH, sign * 4), 0.22, (150, 148, 142))
            ground.line((sign * 4, side * 4), (sign * 4, side * REACH), 0.22, (150, 148, 142))
        ground.dashes((sign * 8.5, 0), (sign * REACH, 0), 2, 2)
        ground.dashes((0, sign * 8.5), (0, sign * REACH), 2, 2)
        ground.line((sign * 7.8, -4 if sign < 0 else 0), (sign * 7.8, 0 if sign < 0 else 4), 0.4)
        for k in np.arange(-3.5, 3.6, 1.0):
            ground.line((sign * 4.6, k), (sign * 7.2, k), 0.5, white)
            ground.line((k, sign * 4.6), (k, sign * 7.2), 0.5, white)
    ground.stains(-8, -4, 8, 4, 25)
    props_y = rng.uniform(8.5, 10)
    _row(stage, rng, props_y, darkness, 0.6, [(-8, 8)])
    lamps = [props.lamp(stage, -5, 5, -0.8), props.lamp(stage, 5, 5, -2.3), props.lamp(stage, 14, -5, 1.6), props.lamp(stage, -14, 5, -1.6)]
    for x, y, heading in ((-4.8, 7.6, -2.4), (4.8, 7.6, -0.6), (7.6, -4.8, 0)):
        props.traffic_light(stage, x, y, heading)
    for x in (-17, -10.5, 10.5, 18):
        if rng.random() < 0.6:
            props.tree(stage, rng, x + rng.normal(0, 0.5), 6.4, rng.uniform(0.8, 1.2))
    props.litter_bin(stage, rng, 6.5, 5.2)
    props.litter_bin(stage, rng, -6.6, -5.4)
    walks = [[(-26, 5.4), (26, 5.6)], [(-26, -5.6), (26, -5.5)], [(-5.6, 26), (-5.5, 5.8), (-26, 5.5)], [(5.7, 26), (5.6, -26)],
             [(-26, 5.3), (-6, 5.3), (-5.9, -5.5), (-26, -5.8)], [(26, 5.7), (6, 5.5), (5.9, -5.5), (26, -5.8)], [(-26, 6), (26, 6.2)]]  # fmt: skip
    roads = [[(-45, -2), (45, -2)], [(45, 2), (-45, 2)], [(2, -45), (2, 45)], [(-2, 45), (-2, -45)],
             [(-45, -2), (-6, -2), (-2, -4), (-2, -45)], [(-2, 45), (-2, 6), (-3.5, 2.2), (-45, 2)]]  # fmt: skip
    targets = [_bin_target(6.5, 5.2, (7.4, 4.7), False), _bin_target(-6.6, -5.4, (-7.4, -5.0), False)]
    return Place("street crossing", ground, walks, roads, [(-6.5, 6.3), (7.6, 6.2), (7, -6.3), (-9, 6.3)],
                 [(-6.8, 6), (6.8, 6.3), (0.3, 5.6), (-5.7, 0)], targets, [(0, 2, (1, -2)), (0, 3, (-2, -2)), (1, 2, (2, 2)), (1, 3, (-1, 2))],
                 lamps=lamps, azimuth=(-0.75, 0.75), distance=(12, 16), height=(5, 9.5), aim=(0, 1.5))  # fmt: skip


def parking_lot(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Rows of bays on both sides of a lane."""
    tar = asphalt(rng)
    ground = Ground(rng, REACH, tar)
    ground.rect(-REACH, 11, REACH, REACH, grass(rng))
    ground.line((-REACH, 11), (REACH, 11), 0.25, (150, 148, 142))
    spots = []
    for k in range(-9, 10):
        for y0, y1 in ((5.4, 10.6), (-10.6, -5.4)):
            ground.line((k * 2.7, y0), (k * 2.7, y1), 0.12)
        spots += [(k * 2.7 + 1.35, 8, rng.choice([-1, 1]) * np.pi / 2)]
        if abs(k) > 1:
            spots += [(k * 2.7 + 1.35, -8, np.pi / 2)]
    ground.stains(-20, -10, 20, 10, 60)
    parked = _park(stage, rng, spots, rng.uniform(0.4, 0.75))
    central = min((p for p in [*parked, (0, 99, 0)] if p[1] > 0), key=lambda p: abs(p[0]))
    if abs(central[0]) > 3:
        central = next(s for s in spots if s[1] > 0 and abs(s[0]) < 2.8 and all(np.hypot(s[0] - p[0], s[1] - p[1]) > 1 for p in parked))
        Vehicle(stage, rng, "hatchback", central)
        parked.append(central)
    props.fence(stage, (-REACH, 12.2), (REACH, 12.2))
    for x in np.arange(-24, 25, 6):
        if rng.random() < 0.55:
            props.tree(stage, rng, x + rng.normal(0, 1), 13.8 + rng.normal(0, 0.5), rng.uniform(0.8, 1.5))
    _row(stage, rng, rng.uniform(17, 20), darkness, 0.2)
    lamps = [props.lamp(stage, x, 11.3, -np.pi / 2, 6.5) for x in (-10.5, 0.2, 11)] + [props.lamp(stage, 7, -11, 1.57)]
    props.litter_bin(stage, rng, -5.2, 11.5)
    walks = [[(-26, 4.2), (26, 4.5)], [(-26, -4.4), (26, -4.3)], [(-26, 11.6), (26, 11.5)], [(-20, 4.6), (-3, 3.8), (1, -4.2), (24, -4.5)],
             [(24, 4.6), (4, 3.6), (-2, -3.8), (-24, -4.5)], [(-26, -1), (26, 3.8)]]  # fmt: skip
    roads = [[(-45, -1.6), (45, -1.6)], [(45, 1.6), (-45, 1.6)]]
    targets = [_car_target(*central, (central[0] + 0.6, 4.4))]
    return Place("parking lot", ground, walks, roads, [(-3.5, 4.4), (5, 4.3), (-7, -4.2), (2.5, 4.4)], [(0, 0.2), (-2, 2.5), (2.2, 1.5), (0, 3.8)],
                 targets, [(0, None, (central[0], 5.6)), (0, 1, (0, 0)), (1, None, (central[0], 5.6))], lamps=lamps, parked=parked,
                 azimuth=(-0.8, 0.8), distance=(11, 15), height=(4.5, 9.5), aim=(0, 2.5))  # fmt: skip


def shop_plaza(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Pavement with benches and trees before a parade of shops; a road runs past below the camera."""
    ground = Ground(rng, REACH, paving(rng))
    ground.rect(-REACH, -12, REACH, -4.5, asphalt(rng))
    ground.line((-REACH, -4.5), (REACH, -4.5), 0.25, (150, 148, 142))
    ground.dashes((-REACH, -8.2), (REACH, -8.2), 2, 2)
    ground.stains(-15, -12, 15, 7, 40)
    _row(stage, rng, 7.5, darkness, 1.0)
    for x in np.arange(-20, 20, 5.2):
        if rng.random() < 0.5:
            props.awning(stage, rng, x, x + 3.5, 7.5)
    lamps = [props.lamp(stage, x, -3.6, np.pi / 2, 5) for x in (-9.5, 8.8)] + [np.array([x, 6.9, 3.0]) for x in (-4.0, 5.0)]
    for x in (-14, -5.8, 5.6, 15):
        if rng.random() < 0.7:
            props.tree(stage, rng, x, -2.4 + rng.normal(0, 0.2), rng.uniform(0.7, 1.0))
    for x in (-8, 7.6):
        props.bench(stage, x, 5.8, -np.pi / 2)
    props.litter_bin(stage, rng, 3.2, 5.9)
    props.bollards(stage, (-12, -3.9), (12, -3.9), 9)
    walks = [[(-26, 4), (26, 4.2)], [(26, 2.4), (-26, 2.6)], [(-26, 0.6), (26, -0.6)], [(-26, -1), (0, 2), (26, 5)], [(-26, 5), (-2, 3.4), (26, -1)],
             [(26, 5), (3, 5.6), (-26, 5.2)]]  # fmt: skip
    roads = [[(-45, -10), (45, -10)], [(45, -6.4), (-45, -6.4)]]
    fire_x = rng.uniform(-2.5, 1.5)
    front = np.array([(fire_x + dx, 7.2, z) for dx, z in ((0, 0.1), (0.5, 0.3), (-0.5, 0.2), (0.9, 0.1), (-0.9, 0.1), (0.2, 1.2), (-0.3, 1.5))])
    targets = [_bin_target(3.2, 5.9, (3.0, 4.9), False), Target("shop", (fire_x, 7.2), front, (fire_x, 5.6), 1.6)]
    return Place("shopping street", ground, walks, roads, [(-3, 5.8), (-11, 4.4), (5, 5.4), (0.8, 5.9)], [(0, 1.4), (-2.2, 2.2), (2.3, 1.2), (0.3, 3)],
                 targets, [(0, 1, (0, -8)), (1, None, (0.8, -4.7))], seats=[(-8, 5.75, -np.pi / 2), (7.6, 5.75, -np.pi / 2)], lamps=lamps,
                 azimuth=(-0.6, 0.6), distance=(11.5, 14.5), height=(4.5, 8), aim=(0, -0.2))  # fmt: skip


def petrol_station(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Forecourt with pumps under a canopy, a kiosk and a road in front."""
    ground = Ground(rng, REACH, concrete(rng))
    ground.rect(-REACH, -13, REACH, -6.5, asphalt(rng))
    ground.rect(-REACH, 14, REACH, REACH, grass(rng))
    ground.line((-REACH, -6.5), (REACH, -6.5), 0.25, (150, 148, 142))
    ground.dashes((-REACH, -9.8), (REACH, -9.8), 2, 2)
    ground.stains(-8, -4, 8, 8, 50)
    colour = [(0.65, 0.1, 0.1), (0.1, 0.3, 0.6), (0.1, 0.45, 0.2), (0.8, 0.6, 0.1)][rng.integers(4)]
    white, trim = stage.paint((0.78, 0.78, 0.78)), stage.paint(colour, 0.2, 0.35 * darkness)
    stage.box(STATIC, (6.5, 3.0, 0.25), (0, 5.5, 4.9), white)
    for half, at in (((6.55, 0.05, 0.3), (0, 2.5, 4.9)), ((0.05, 3.0, 0.3), (6.5, 5.5, 4.9)), ((0.05, 3.0, 0.3), (-6.5, 5.5, 4.9))):
        stage.box(STATIC, half, at, trim, shadow=False)
    for x in (-3.6, 3.6):
        stage.box(STATIC, (1.5, 0.6, 0.08), (x, 5.5, 0.08), stage.paint((0.6, 0.6, 0.55)))
        for dx in (-0.8, 0.8):
            props.petrol_pump(stage, x + dx, 5.5, colour)
        stage.box(STATIC, (0.15, 0.15, 2.4), (x, 5.5, 2.4), white)
    props.building(stage, rng, -8, 11, 9, 17, 1, darkness, True)
    _row(stage, rng, 20, darkness, 0.2, [(-10, 11)])
    stage.box(STATIC, (0.9, 0.12, 1.6), (9.5, -4.6, 3.4), trim)
    stage.box(STATIC, (0.12, 0.1, 1.2), (9.5, -4.6, 1.2), white)
    for x in (-16, 14, 20):
        props.tree(stage, rng, x, 12 + rng.normal(0, 1), rng.uniform(0.9, 1.3))
    props.litter_bin(stage, rng, 6.2, 5.4)
    lamps = [np.array([x, 5.5, 4.5]) for x in (-3.5, 3.5)] + [props.lamp(stage, -11, -5.4, -1.57), np.array([0, 10.5, 3.0])]
    parked = [(-3.4, 3.6, 0.0)] if rng.random() < 0.5 else [(3.2, 3.6, np.pi)]
    if rng.random() < 0.5:
        parked.append((1.0, 7.6, 0.0))
    for at in parked:
        Vehicle(stage, rng, str(rng.choice(["sedan", "hatchback", "suv"])), at)
    walks = [[(-26, -5), (26, -4.8)], [(-26, 10), (26, 9.8)], [(-20, -4.5), (-7.4, 4), (-4, 9.8), (-20, 10)], [(22, 0), (8, 1.4), (7.4, 9.6), (24, 10)],
             [(26, -4.2), (4, -3.4), (-26, -5)], [(-26, 0.6), (26, 1.2)]]  # fmt: skip
    roads = [[(-45, -11.4), (45, -11.4)], [(45, -8.2), (-45, -8.2)], [(-45, -1.4), (45, -1.4)]]
    x, y, heading = parked[0]
    targets = [_car_target(x, y, heading, (x + 0.3, y - 1.7)), _bin_target(6.2, 5.4, (6.4, 4.5), False)]
    return Place("petrol station", ground, walks, roads, [(-7.2, 2.4), (2.5, 0.9), (7.5, 2.2)], [(0, 0.4), (-1.2, -1.8), (1.5, -1.0), (0.3, 1.2)],
                 targets, [(2, None, (x, y - 1.9)), (0, 1, (0, -9.8))], lamps=lamps, parked=parked,
                 azimuth=(-0.7, 0.7), distance=(11.5, 15), height=(4, 7), aim=(0, 1.0))  # fmt: skip


def alley(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Back lane between brick walls with doors and refuse containers."""
    ground = Ground(rng, REACH, asphalt(rng))
    ground.rect(-4.2, -REACH, -3.2, REACH, concrete(rng))
    ground.rect(3.2, -REACH, 4.2, REACH, concrete(rng))
    ground.stains(-4, -8, 4, 20, 60)
    masonry = [stage.texture(brick(rng)) for _ in range(2)]
    for sign, material in ((-1, masonry[0]), (1, masonry[1])):
        ends = ((sign * 4.2, 26), (sign * 4.2, -6)) if sign < 0 else ((4.2, -6), (4.2, 26))
        props.wall(stage, *ends, 7, material, (8, 2.4))
        stage.box(STATIC, (3, 16, 3.5), (sign * 7.25, 10, 3.5), stage.paint((0.3, 0.28, 0.26)))
        for y in rng.permutation(np.arange(-3, 22, 4))[:4]:
            door = stage.texture(shutter(rng))
            span = ((sign * 4.15, y + 1.2), (sign * 4.15, y - 1.2))
            props.wall(stage, *(span if sign < 0 else span[::-1]), 2.4, door)
        for y in (1.0, 9.0):
            stage.box(STATIC, (0.2, 0.45, 0.35), (sign * 4.0, y + rng.normal(0, 1), 4.2), stage.paint((0.6, 0.6, 0.58)))
    props.building(stage, rng, -9, 26, 9, 33, 3, darkness, False)
    y_bin = rng.uniform(3.2, 4.6)
    side = rng.choice([-1, 1])
    props.dumpster(stage, rng, side * 3.4, y_bin, np.pi / 2)
    props.dumpster(stage, rng, -side * 3.4, y_bin + 7, np.pi / 2)
    lamps = [np.array([side * 3.8, 2.5, 4.6]), np.array([-side * 3.8, 11.5, 4.6])]
    for lamp in lamps:
        stage.box(STATIC, (0.15, 0.15, 0.1), lamp + [0, 0, 0.15], stage.paint((0.8, 0.8, 0.75)))
    parked = _park(stage, rng, [(-side * 2.8, 14.5, np.pi / 2)], 0.6)
    walks = [[(-1.6, -14), (-1.5, 25)], [(1.6, 25), (1.7, -14)], [(0.2, -14), (-0.5, 25)], [(-1, 25), (0.8, 8), (-0.6, -14)], [(2.4, 25), (2.0, -14)]]
    roads = [[(0.2, -40), (0.2, 24)]]
    targets = [_bin_target(side * 3.4, y_bin, (side * 2.2, y_bin - 0.6), True)]
    return Place("back alley", ground, walks, roads, [(-2.9, 6.5), (2.9, 8.4), (-side * 3.0, 1.4)], [(0, 2), (0.8, 3.2), (-1, 2.6), (0.2, 4.5)], targets,
                 [], lamps=lamps, parked=parked, azimuth=(-0.22, 0.22), distance=(9.5, 12.5), height=(3.6, 6), aim=(0, 3.2))  # fmt: skip


def street(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Two-lane road with parked cars, trees and houses on the far side."""
    ground = Ground(rng, REACH, paving(rng, 32))
    ground.rect(-REACH, -6, REACH, 4.2, asphalt(rng))
    for y in (-6, 4.2):
        ground.line((-REACH, y), (REACH, y), 0.25, (150, 148, 142))
    ground.dashes((-REACH, -2), (REACH, -2), 3, 3)
    ground.line((-REACH, 1.9), (REACH, 1.9), 0.1)
    ground.stains(-15, -6, 15, 4, 40)
    _row(stage, rng, rng.uniform(9, 11), darkness, 0.25)
    parked = _park(stage, rng, [(k * 5.6 + rng.uniform(-0.3, 0.3), 3.05, 0.0) for k in (-4, -3, -2, 2, 3, 4)], 0.6)
    parked += _park(stage, rng, [(rng.uniform(1.8, 3.4), 3.05, 0.0)], 1.0)
    for x in (-17, -9, 8.2, 16):
        if rng.random() < 0.75:
            props.tree(stage, rng, x + rng.normal(0, 0.4), 5.0, rng.uniform(0.8, 1.15))
    lamps = [props.lamp(stage, x, 4.9, -np.pi / 2, 6) for x in (-12.3, 0.6, 12.6)]
    props.litter_bin(stage, rng, -2.6, 5.3)
    props.bench(stage, -5.5, 8.2, -np.pi / 2)
    walks = [[(-26, 6.6), (26, 6.4)], [(26, 7.4), (-26, 7.2)], [(-26, 6), (26, 6.9)], [(-26, -7.2), (26, -7)], [(26, 6.1), (-1.2, 6.3), (-1.4, -7.4), (-26, -7)]]
    roads = [[(-45, -4), (45, -4)], [(45, 0), (-45, 0)]]
    x, y, heading = parked[-1]
    targets = [_car_target(x, y, heading, (x + 0.5, y + 1.7)), _bin_target(-2.6, 5.3, (-2.7, 6.2), False)]
    return Place("street", ground, walks, roads, [(-7.5, 7.6), (4.5, 7.8), (0, 7.8)], [(0, 6.2), (-1.4, 0.5), (-0.6, 3.2), (1.5, 6.4)], targets,
                 [(0, 1, (0, -2)), (1, None, (x, y - 1.8)), (1, 0, (-1, -2))], seats=[(-5.5, 8.15, -np.pi / 2)], lamps=lamps, parked=parked,
                 azimuth=(-0.7, 0.7), distance=(11, 15), height=(4.5, 9), aim=(0, 1.8))  # fmt: skip


PLACES = (crossing, parking_lot, shop_plaza, petrol_station, alley, street)
