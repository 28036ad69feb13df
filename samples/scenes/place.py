"""What a place is made of and what a story needs to know about it."""

import dataclasses

import numpy as np

from . import props
from .geometry import rot_z
from .stage import Stage
from .textures import Ground
from .vehicles import Vehicle

REACH = 30.0  # metres from the origin to the edge of the painted ground
KERB = (150, 148, 142)
Point = tuple[float, float]


@dataclasses.dataclass
class Target:
    """Something that can be set on fire or blow up: flames stand on `spots` (K, 3)."""

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
    corridor: float = 99.0  # the camera stays within this |x|


def car_target(x: float, y: float, heading: float, approach: Point) -> Target:
    """Describe a parked car; someone who sets it on fire stands at `approach`."""
    turn = rot_z(heading)
    local = [
        (1.5, 0.3, 0.9),
        (0.9, -0.4, 1.0),
        (0.2, 0.3, 1.3),
        (-0.5, -0.3, 1.35),
        (1.7, -0.3, 0.75),
        (-1.2, 0.3, 1.1),
        (0.0, 0, 0.9),
    ]
    return Target((x, y), np.array(local) @ turn.T + np.array([x, y, 0]), approach, 1.9)


def bin_target(x: float, y: float, approach: Point, big: bool) -> Target:
    """Describe a litter bin or, if `big`, a refuse container."""
    wide, top = (0.5, 1.15) if big else (0.14, 0.8)
    local = np.array(
        [
            (-wide, 0, top),
            (wide, 0.1, top),
            (0, -0.15, top),
            (0.3 * wide, 0.1, top - 0.2),
            (-0.4 * wide, -0.3, top - 0.5),
        ]
    )
    return Target((x, y), local + np.array([x, y, 0]), approach, 2.1 if big else 1.8)


def park(stage: Stage, rng: np.random.Generator, spots: list, share: float) -> list:
    """Fill a share of the spots with parked cars; returns the taken ones."""
    taken = []
    for x, y, heading in spots:
        if rng.random() < share:
            kind = rng.choice(["sedan", "hatchback", "suv", "van"], p=[0.4, 0.32, 0.2, 0.08])
            at = (x + rng.normal(0, 0.08), y + rng.normal(0, 0.12), heading + rng.normal(0, 0.02))
            Vehicle(stage, rng, str(kind), at)
            taken.append(at)
    return taken


def row(
    stage: Stage, rng: np.random.Generator, y: float, darkness: float, shops: float, gaps: list | None = None
) -> None:
    """Build houses along y from x = -30 to 30, leaving out the `gaps` (x0, x1)."""
    x = -REACH - rng.uniform(0, 4)
    while x < REACH:
        width = rng.uniform(8, 14)
        blocked = [g for g in gaps or [] if x < g[1] and x + width > g[0]]
        if blocked and x < blocked[0][0] - 4:
            width, blocked = blocked[0][0] - x, []
        if blocked:
            x = blocked[0][1]
            continue
        props.building(
            stage, rng, x, y, x + width - 0.05, y + 9, int(rng.integers(2, 5)), darkness, rng.random() < shops
        )
        x += width
