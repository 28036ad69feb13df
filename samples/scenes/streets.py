"""Places along roads: a crossing, a street with houses and a back alley.

The camera hangs on the -y side and looks across the origin, so buildings stand on the far side.
"""

import numpy as np

from . import props
from .place import KERB, REACH, Place, bin_target, car_target, park, row
from .stage import STATIC, Stage
from .textures import Ground, asphalt, brick, concrete, paving, shutter


def _crossed_roads(rng: np.random.Generator) -> Ground:
    """Paint two roads with kerbs, lane and stop lines and zebra crossings."""
    ground, tar, white = Ground(rng, REACH, paving(rng)), asphalt(rng), (205, 205, 198)
    ground.rect(-REACH, -4, REACH, 4, tar)
    ground.rect(-4, -REACH, 4, REACH, tar)
    for sign in (-1, 1):
        for side in (-1, 1):
            ground.line((side * 4, sign * 4), (side * REACH, sign * 4), 0.22, KERB)
            ground.line((sign * 4, side * 4), (sign * 4, side * REACH), 0.22, KERB)
        ground.dashes((sign * 8.5, 0), (sign * REACH, 0), 2, 2)
        ground.dashes((0, sign * 8.5), (0, sign * REACH), 2, 2)
        ground.line((sign * 7.8, -4 if sign < 0 else 0), (sign * 7.8, 0 if sign < 0 else 4), 0.4)
        for k in np.arange(-3.5, 3.6, 1.0):
            ground.line((sign * 4.6, k), (sign * 7.2, k), 0.5, white)
            ground.line((k, sign * 4.6), (k, sign * 7.2), 0.5, white)
    ground.stains(-8, -4, 8, 4, 25)
    return ground


def crossing(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Two roads that cross, with zebra crossings and corner houses."""
    ground = _crossed_roads(rng)
    row(stage, rng, rng.uniform(8.5, 10), darkness, 0.6, [(-8, 8)])
    props.building(stage, rng, -16, 46, 0, 54, 4, darkness)
    props.building(stage, rng, 0, 44, 17, 54, 3, darkness)
    lamps = [
        props.lamp(stage, -5, 5, -0.8),
        props.lamp(stage, 5, 5, -2.3),
        props.lamp(stage, 14, -5, 1.6),
        props.lamp(stage, -14, 5, -1.6),
    ]
    for x, y, heading in ((-4.8, 7.6, -2.4), (4.8, 7.6, -0.6), (7.6, -4.8, 0)):
        props.traffic_light(stage, x, y, heading)
    for x in (-17, -10.5, 10.5, 18):
        if rng.random() < 0.6:
            props.tree(stage, rng, x + rng.normal(0, 0.5), 6.4, rng.uniform(0.8, 1.2))
    props.dumpster(stage, rng, 7.2, 7.6, 0)
    props.litter_bin(stage, rng, -6.6, 7.4)
    walks = [
        [(-26, 5.4), (26, 5.6)],
        [(-26, -5.6), (26, -5.5)],
        [(-5.6, 26), (-5.5, 5.8), (-26, 5.5)],
        [(5.7, 26), (5.6, -26)],
        [(-26, 5.3), (-6, 5.3), (-5.9, -5.5), (-26, -5.8)],
        [(26, 5.7), (6, 5.5), (5.9, -5.5), (26, -5.8)],
        [(-26, 6), (26, 6.2)],
    ]
    roads = [
        [(-45, -2), (45, -2)],
        [(45, 2), (-45, 2)],
        [(2, -45), (2, 45)],
        [(-2, 45), (-2, -45)],
        [(-45, -2), (-6, -2), (-2, -4), (-2, -45)],
        [(-2, 45), (-2, 6), (-3.5, 2.2), (-45, 2)],
    ]
    targets = [bin_target(7.2, 7.6, (7.0, 6.5), True), bin_target(-6.6, 7.4, (-6.4, 6.5), False)]
    return Place(
        "street crossing",
        ground,
        walks,
        roads,
        [(-8.5, 6.9), (10.6, 6.9), (7, -6.3), (-11, 6.9)],
        [(-6.8, 6), (6.8, 6.3), (0.3, 5.6), (-5.7, 0)],
        targets,
        [(0, 2, (1, -2)), (0, 3, (-2, -2)), (1, 2, (2, 2)), (1, 3, (-1, 2))],
        lamps=lamps,
        azimuth=(-0.75, 0.75),
        distance=(12, 16),
        height=(5, 9.5),
        aim=(0, 1.5),
    )


def street(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Two-lane road with parked cars, trees and houses on the far side."""
    ground = Ground(rng, REACH, paving(rng, 32))
    ground.rect(-REACH, -6, REACH, 4.2, asphalt(rng))
    for y in (-6, 4.2):
        ground.line((-REACH, y), (REACH, y), 0.25, KERB)
    ground.dashes((-REACH, -2), (REACH, -2), 3, 3)
    ground.line((-REACH, 1.9), (REACH, 1.9), 0.1)
    ground.stains(-15, -6, 15, 4, 40)
    row(stage, rng, rng.uniform(9, 11), darkness, 0.25)
    parked = park(stage, rng, [(k * 5.6 + rng.uniform(-0.3, 0.3), 3.05, 0.0) for k in (-4, -3, -2, 2.2, 3.2, 4.2)], 0.6)
    parked += park(stage, rng, [(rng.uniform(3.6, 5.0), 3.05, 0.0)], 1.0)
    for x in (-17, -9, 8.2, 16):
        if rng.random() < 0.75:
            props.tree(stage, rng, x + rng.normal(0, 0.4), 5.0, rng.uniform(0.8, 1.15))
    lamps = [props.lamp(stage, x, 4.9, -np.pi / 2, 6) for x in (-12.3, 1.4, 12.6)]
    props.litter_bin(stage, rng, -2.6, 5.3)
    props.bench(stage, -5.5, 8.2, -np.pi / 2)
    walks = [
        [(-26, 6.6), (26, 6.4)],
        [(26, 7.4), (-26, 7.2)],
        [(-26, 6), (26, 6.9)],
        [(-26, -7.2), (26, -7)],
        [(26, 6.1), (-1.2, 6.3), (-1.4, -7.4), (-26, -7)],
    ]
    roads = [[(-45, -4), (45, -4)], [(45, 0), (-45, 0)]]
    x, y, heading = parked[-1]
    targets = [car_target(x, y, heading, (x + 0.5, y + 1.7)), bin_target(-2.6, 5.3, (-2.7, 6.2), False)]
    return Place(
        "street",
        ground,
        walks,
        roads,
        [(-7.5, 7.6), (4.5, 7.8), (0, 7.8)],
        [(-0.6, 6.6), (-1.4, 0.5), (-0.9, 3.2), (-1.8, 6.8)],
        targets,
        [(0, 1, (0, -2)), (1, None, (x, y - 1.8)), (1, 0, (-1, -2))],
        seats=[(-5.5, 8.15, -np.pi / 2)],
        lamps=lamps,
        parked=parked,
        azimuth=(-0.7, 0.7),
        distance=(11, 15),
        height=(4.5, 9),
        aim=(0, 1.8),
    )


def alley(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Back lane between brick walls with doors and refuse containers."""
    ground = Ground(rng, REACH, asphalt(rng))
    ground.rect(-4.2, -REACH, -3.2, REACH, concrete(rng))
    ground.rect(3.2, -REACH, 4.2, REACH, concrete(rng))
    ground.stains(-4, -8, 4, 20, 60)
    masonry = [stage.texture(brick(rng)) for _ in range(2)]
    for sign, material in ((-1, masonry[0]), (1, masonry[1])):
        ends = ((-4.2, -16), (-4.2, 26)) if sign < 0 else ((4.2, 26), (4.2, -16))
        props.wall(stage, *ends, 7, material, (10.5, 2.4))
        stage.box(STATIC, (3, 21, 3.5), (sign * 7.25, 5, 3.5), stage.paint((0.3, 0.28, 0.26)))
        for y in rng.permutation(np.arange(-3, 22, 4))[:4]:
            door = stage.texture(shutter(rng))
            span = ((sign * 4.15, y - 1.2), (sign * 4.15, y + 1.2))
            props.wall(stage, *(span if sign < 0 else span[::-1]), 2.4, door)
        for y in (1.0, 9.0):
            stage.box(
                STATIC,
                (0.2, 0.45, 0.35),
                (sign * 4.0, y + rng.normal(0, 1), 4.2),
                stage.paint((0.6, 0.6, 0.58)),
            )
    props.building(stage, rng, -9, 26, 9, 33, 3, darkness, False)
    y_bin = rng.uniform(3.2, 4.6)
    side = rng.choice([-1, 1])
    props.dumpster(stage, rng, side * 3.4, y_bin, np.pi / 2)
    props.dumpster(stage, rng, -side * 3.4, y_bin + 7, np.pi / 2)
    lamps = [np.array([x, y, 4.6]) for x, y in ((side * 3.8, 1.5), (-side * 3.8, 5.5), (side * 3.8, 13.0))]
    for lamp in lamps:
        stage.box(STATIC, (0.15, 0.15, 0.1), lamp + np.array([0, 0, 0.15]), stage.paint((0.8, 0.8, 0.75)))
    parked = park(stage, rng, [(-side * 2.8, 14.5, np.pi / 2)], 0.6)
    walks = [
        [(-1.6, -14), (-1.5, 25)],
        [(1.6, 25), (1.7, -14)],
        [(0.2, -14), (-0.5, 25)],
        [(-1, 25), (0.8, 8), (-0.6, -14)],
        [(2.4, 25), (2.0, -14)],
    ]
    roads = [[(0.2, -40), (0.2, 24)]]
    targets = [bin_target(side * 3.4, y_bin, (side * 2.2, y_bin - 0.6), True)]
    return Place(
        "back alley",
        ground,
        walks,
        roads,
        [(-2.9, 6.5), (2.9, 8.4), (-side * 3.0, 1.4)],
        [(0, 2), (0.8, 3.2), (-1, 2.6), (0.2, 4.5)],
        targets,
        [],
        lamps=lamps,
        parked=parked,
        azimuth=(-0.2, 0.2),
        distance=(9.5, 12.5),
        height=(3.6, 6),
        corridor=1.7,
        aim=(0, 3.2),
    )
