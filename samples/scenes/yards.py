"""Open places: a parking lot, a plaza before shops and a petrol station.

The camera hangs on the -y side and looks across the origin, so buildings stand on the far side.
"""

import numpy as np

from . import props
from .place import KERB, REACH, Place, Target, bin_target, car_target, park, row
from .stage import STATIC, Stage
from .textures import Ground, asphalt, concrete, grass, paving
from .vehicles import Vehicle


def parking_lot(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Rows of bays on both sides of a lane."""
    tar = asphalt(rng)
    ground = Ground(rng, REACH, tar)
    ground.rect(-REACH, 11, REACH, REACH, grass(rng))
    ground.line((-REACH, 11), (REACH, 11), 0.25, KERB)
    spots = []
    for k in range(-9, 10):
        for y0, y1 in ((5.4, 10.6), (-10.6, -5.4)):
            ground.line((k * 2.7, y0), (k * 2.7, y1), 0.12)
        spots += [(k * 2.7 + 1.35, 8, rng.choice([-1, 1]) * np.pi / 2)]
        if abs(k) > 1:
            spots += [(k * 2.7 + 1.35, -8, np.pi / 2)]
    ground.stains(-20, -10, 20, 10, 60)
    parked = park(stage, rng, spots, rng.uniform(0.4, 0.75))
    central = min((p for p in parked if p[1] > 0), key=lambda p: abs(p[0]), default=(99, 0, 0))
    if abs(central[0]) > 3:
        central = (1.35, 8, -np.pi / 2)
        parked += park(stage, rng, [central], 1.0)
    props.fence(stage, (-REACH, 12.2), (REACH, 12.2))
    for x in np.arange(-24, 25, 6):
        if rng.random() < 0.55:
            props.tree(stage, rng, x + rng.normal(0, 1), 13.8 + rng.normal(0, 0.5), rng.uniform(0.8, 1.5))
    row(stage, rng, rng.uniform(17, 20), darkness, 0.2)
    lamps = [props.lamp(stage, x, 11.3, -np.pi / 2, 6.5) for x in (-10.5, 0.2, 11)] + [props.lamp(stage, 7, -11, 1.57)]
    props.litter_bin(stage, rng, -5.2, 11.5)
    walks = [
        [(-26, 4.2), (26, 4.5)],
        [(-26, -4.4), (26, -4.3)],
        [(-26, 11.6), (26, 11.5)],
        [(-20, 4.6), (-3, 3.8), (1, -4.2), (24, -4.5)],
        [(24, 4.6), (4, 3.6), (-2, -3.8), (-24, -4.5)],
        [(-26, -1), (26, 3.8)],
    ]
    roads = [[(-45, -1.6), (45, -1.6)], [(45, 1.6), (-45, 1.6)]]
    targets = [car_target(*central, (central[0] + 0.6, 4.4))]
    return Place(
        "parking lot",
        ground,
        walks,
        roads,
        [(-3.5, 4.4), (5, 4.3), (-7, -4.2), (2.5, 4.4)],
        [(0, 0.2), (-2, 2.5), (2.2, 1.5), (0, 3.8)],
        targets,
        [(0, None, (central[0], 5.6)), (0, 1, (0, 0)), (1, None, (central[0], 5.6))],
        lamps=lamps,
        parked=parked,
        azimuth=(-0.8, 0.8),
        distance=(11, 15),
        height=(4.5, 9.5),
        aim=(0, 2.5),
    )


def shop_plaza(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Pavement with benches and trees before a parade of shops; a road runs past below the camera."""
    ground = Ground(rng, REACH, paving(rng))
    ground.rect(-REACH, -12, REACH, -4.5, asphalt(rng))
    ground.line((-REACH, -4.5), (REACH, -4.5), 0.25, KERB)
    ground.dashes((-REACH, -8.2), (REACH, -8.2), 2, 2)
    ground.stains(-15, -12, 15, 7, 40)
    row(stage, rng, 7.5, darkness, 1.0)
    for x in np.arange(-20, 20, 5.2):
        if rng.random() < 0.5:
            props.awning(stage, rng, x, x + 3.5, 7.5)
    lamps = [props.lamp(stage, x, -3.6, np.pi / 2, 5) for x in (-9.5, 8.8)] + [
        np.array([x, 6.9, 3.0]) for x in (-4.0, 5.0)
    ]
    for x in (-14, -5.8, 5.6, 15):
        if rng.random() < 0.7:
            props.tree(stage, rng, x, -2.4 + rng.normal(0, 0.2), rng.uniform(0.7, 1.0))
    for x in (-8, 7.6):
        props.bench(stage, x, 5.8, -np.pi / 2)
    props.litter_bin(stage, rng, 3.2, 5.9)
    props.bollards(stage, (-12, -3.9), (12, -3.9), 9)
    walks = [
        [(-26, 4), (26, 4.2)],
        [(26, 2.4), (-26, 2.6)],
        [(-26, 0.6), (26, -0.6)],
        [(-26, -1), (0, 2), (26, 5)],
        [(-26, 5), (-2, 3.4), (26, -1)],
        [(26, 5), (3, 5.6), (-26, 5.2)],
    ]
    roads = [[(-45, -10), (45, -10)], [(45, -6.4), (-45, -6.4)]]
    fire_x = rng.uniform(-2.5, 1.5)
    front = np.array(
        [
            (fire_x + dx, 7.2, z)
            for dx, z in ((0, 0.1), (0.5, 0.3), (-0.5, 0.2), (0.9, 0.1), (-0.9, 0.1), (0.2, 1.2), (-0.3, 1.5))
        ]
    )
    targets = [
        bin_target(3.2, 5.9, (3.0, 4.9), False),
        Target((fire_x, 7.2), front, (fire_x, 5.6), 2.0),
    ]
    return Place(
        "shopping street",
        ground,
        walks,
        roads,
        [(-3, 5.8), (-11, 4.4), (5, 5.4), (0.8, 5.9)],
        [(0, 1.4), (-2.2, 2.2), (2.3, 1.2), (0.3, 3)],
        targets,
        [(0, 1, (0, -8)), (1, None, (0.8, -4.7))],
        seats=[(-8, 5.75, -np.pi / 2), (7.6, 5.75, -np.pi / 2)],
        lamps=lamps,
        azimuth=(-0.6, 0.6),
        distance=(11.5, 14.5),
        height=(4.5, 8),
        aim=(0, -0.2),
    )


def _canopy(stage: Stage, rng: np.random.Generator, darkness: float) -> str:
    """Build the roof with its pillars and pumps; returns the paint of its edge."""
    colour = [(0.65, 0.1, 0.1), (0.1, 0.3, 0.6), (0.1, 0.45, 0.2), (0.8, 0.6, 0.1)][rng.integers(4)]
    white, trim = stage.paint((0.78, 0.78, 0.78)), stage.paint(colour, 0.2, 0.35 * darkness)
    stage.box(STATIC, (6.5, 3.0, 0.25), (0, 5.5, 4.9), white)
    for half, at in (
        ((6.55, 0.05, 0.3), (0, 2.5, 4.9)),
        ((0.05, 3.0, 0.3), (6.5, 5.5, 4.9)),
        ((0.05, 3.0, 0.3), (-6.5, 5.5, 4.9)),
    ):
        stage.box(STATIC, half, at, trim, shadow=False)
    for x in (-3.6, 3.6):
        stage.box(STATIC, (1.5, 0.6, 0.08), (x, 5.5, 0.08), stage.paint((0.6, 0.6, 0.55)))
        for dx in (-0.8, 0.8):
            props.petrol_pump(stage, x + dx, 5.5, colour)
        stage.box(STATIC, (0.15, 0.15, 2.4), (x, 5.5, 2.4), white)
    return trim


def petrol_station(stage: Stage, rng: np.random.Generator, darkness: float) -> Place:
    """Forecourt with pumps under a canopy, a kiosk and a road in front."""
    ground = Ground(rng, REACH, concrete(rng))
    ground.rect(-REACH, -13, REACH, -6.5, asphalt(rng))
    ground.rect(-REACH, 14, REACH, REACH, grass(rng))
    ground.line((-REACH, -6.5), (REACH, -6.5), 0.25, KERB)
    ground.dashes((-REACH, -9.8), (REACH, -9.8), 2, 2)
    ground.stains(-8, -4, 8, 8, 50)
    trim = _canopy(stage, rng, darkness)
    props.building(stage, rng, -8, 11, 9, 17, 1, darkness, True)
    row(stage, rng, 20, darkness, 0.2, [(-10, 11)])
    stage.box(STATIC, (0.9, 0.12, 1.6), (9.5, -4.6, 3.4), trim)
    stage.box(STATIC, (0.12, 0.1, 1.2), (9.5, -4.6, 1.2), stage.paint((0.78, 0.78, 0.78)))
    for x in (-16, 14, 20):
        props.tree(stage, rng, x, 12 + rng.normal(0, 1), rng.uniform(0.9, 1.3))
    props.litter_bin(stage, rng, 6.2, 5.4)
    lamps = [np.array([x, 5.5, 4.5]) for x in (-3.5, 3.5)] + [
        props.lamp(stage, -11, -5.4, -1.57),
        np.array([0, 10.5, 3.0]),
    ]
    parked = [(-3.4, 3.6, 0.0)] if rng.random() < 0.5 else [(3.2, 3.6, np.pi)]
    if rng.random() < 0.5:
        parked.append((1.0, 7.6, 0.0))
    for at in parked:
        Vehicle(stage, rng, str(rng.choice(["sedan", "hatchback", "suv"])), at)
    walks = [
        [(-26, -5), (26, -4.8)],
        [(-26, 10), (26, 9.8)],
        [(-20, -4.5), (-7.4, 4), (-4, 9.8), (-20, 10)],
        [(22, 0), (8, 1.4), (7.4, 9.6), (24, 10)],
        [(26, -4.2), (4, -3.4), (-26, -5)],
        [(-26, 0.6), (26, 1.2)],
    ]
    roads = [[(-45, -11.4), (45, -11.4)], [(45, -8.2), (-45, -8.2)], [(-45, -1.4), (45, -1.4)]]
    x, y, heading = parked[0]
    targets = [car_target(x, y, heading, (x + 0.3, y - 1.7)), bin_target(6.2, 5.4, (6.4, 4.5), False)]
    return Place(
        "petrol station",
        ground,
        walks,
        roads,
        [(-7.2, 2.4), (2.5, 0.9), (7.5, 2.2)],
        [(0, 0.4), (-1.2, -1.8), (1.5, -1.0), (0.3, 1.2)],
        targets,
        [(2, None, (x, y - 1.9)), (0, 1, (0, -9.8))],
        lamps=lamps,
        parked=parked,
        azimuth=(-0.7, 0.7),
        distance=(11.5, 15),
        height=(4, 7),
        aim=(0, 1.0),
    )
