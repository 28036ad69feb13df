"""Street furniture and buildings, modelled onto a stage. Lengths are metres."""

import numpy as np

from .geometry import blob, faceted, quad, rot_x, rot_y, rot_z
from .stage import STATIC, Stage
from .textures import facade, leaves, shopfront


def wall(
    stage: Stage, start: tuple, end: tuple, height: float, material: str, repeat=(1, 1), base: float = 0.0
) -> None:
    """Upright textured quad, seen by someone for whom it runs from `start` on the left to `end`."""
    (x0, y0), (x1, y1) = start, end
    corners = np.array([[x0, y0, base], [x1, y1, base], [x1, y1, base + height], [x0, y0, base + height]])
    stage.mesh(STATIC, stage.add_mesh(*quad(corners, repeat)), material)


def building(
    stage: Stage,
    rng: np.random.Generator,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    floors: int,
    darkness: float,
    shops: bool = False,
) -> None:
    """House on the rectangle (x0, y0)-(x1, y1) with windows on the sides towards -y, +x and -x."""
    height = 3.1 * floors
    walls = [((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x0, y1), (x0, y0))]
    look = [facade(rng, floors, 4, darkness) for _ in range(2)]
    materials = [stage.texture(image) for image in look]
    for index, (start, end) in enumerate(walls):
        width = np.hypot(end[0] - start[0], end[1] - start[1])
        bottom = 0.0
        if shops and index == 0:
            bottom = 3.3
            units = max(round(width / 5), 1)
            front = stage.texture(shopfront(rng, min(units, 4), darkness))
            wall(stage, start, end, bottom, front, (units / min(units, 4), 1))
        share = (height - bottom) / height
        wall(
            stage,
            start,
            end,
            height - bottom,
            materials[index > 0],
            (max(round(width / 11), 1), share),
            bottom,
        )
    roof = stage.paint((0.35, 0.33, 0.32))
    middle, half = (
        ((x0 + x1) / 2, (y0 + y1) / 2, height + 0.15),
        ((x1 - x0) / 2 + 0.2, (y1 - y0) / 2 + 0.2, 0.2),
    )
    stage.box(STATIC, half, middle, roof, shadow=False)
    stage.box(STATIC, (half[0] - 0.3, half[1] - 0.3, height / 2), (*middle[:2], height / 2 - 0.1), roof)


def awning(stage: Stage, rng: np.random.Generator, x0: float, x1: float, y: float) -> None:
    """Sloping canvas over a shop window on the wall at `y` that faces -y."""
    colour = tuple(rng.uniform(0.15, 0.65, 3))
    for k in range(int((x1 - x0) / 0.5)):
        tone = stage.paint(colour if k % 2 else (0.75, 0.74, 0.7))
        stage.box(STATIC, (0.25, 0.75, 0.02), (x0 + 0.25 + 0.5 * k, y - 0.68, 2.5), tone, rot_x(0.35))


def tree(stage: Stage, rng: np.random.Generator, x: float, y: float, size: float = 1.0) -> None:
    """Tree with a trunk and a crown of several leafy lumps."""
    bark = stage.paint((0.28, 0.21, 0.15))
    trunk = 2.2 * size
    stage.cylinder(STATIC, 0.13 * size, trunk / 2, (x, y, trunk / 2), bark)
    green = stage.texture(leaves(rng))
    for k in range(5):
        vertices, faces = faceted(*blob(rng, rng.uniform(0.9, 1.3) * size, 0.22))
        offset = rng.normal(0, 0.6, 3) * size * [1, 1, 0.55] if k else np.zeros(3)
        uv = vertices[:, :2] * 0.35 + vertices[:, 2:] * [0.2, 0.4]
        at = np.array([x, y, trunk + 0.9 * size]) + offset
        stage.mesh(STATIC, stage.add_mesh(vertices, faces, uv), green, at, shadow=vertices[::7])


def lamp(stage: Stage, x: float, y: float, heading: float, height: float = 6.0) -> np.ndarray:
    """Street lamp whose arm points to `heading`; returns where it shines from (3,)."""
    metal = stage.paint((0.32, 0.33, 0.34), 0.3)
    stage.cylinder(STATIC, 0.07, height / 2, (x, y, height / 2), metal)
    way = np.array([np.cos(heading), np.sin(heading), 0])
    stage.box(STATIC, (0.7, 0.035, 0.035), (x, y, height) + 0.7 * way, metal, rot_z(heading))
    head = (x, y, height) + 1.4 * way
    stage.box(STATIC, (0.3, 0.1, 0.06), head, stage.paint((0.75, 0.74, 0.7)), rot_z(heading))
    return head - [0, 0, 0.1]


def bench(stage: Stage, x: float, y: float, heading: float) -> None:
    """Bench whose sitters look towards `heading`."""
    wood, iron = stage.paint((0.42, 0.29, 0.18)), stage.paint((0.15, 0.15, 0.16))
    turn = rot_z(heading)
    for offset, half, tilt in (
        ((0, 0, 0.43), (0.22, 0.8, 0.03), 0),
        ((-0.26, 0, 0.72), (0.03, 0.8, 0.2), -0.2),
    ):
        stage.box(STATIC, half, turn @ offset + [x, y, 0], wood, turn @ rot_y(tilt))
    for side in (-0.65, 0.65):
        stage.box(STATIC, (0.2, 0.04, 0.21), turn @ (0, side, 0.21) + [x, y, 0], iron, turn)


def litter_bin(stage: Stage, rng: np.random.Generator, x: float, y: float) -> None:
    """Street litter bin, 0.95 m tall."""
    colour = [(0.12, 0.3, 0.16), (0.16, 0.17, 0.18), (0.2, 0.25, 0.4)][rng.integers(3)]
    stage.cylinder(STATIC, 0.3, 0.42, (x, y, 0.42), stage.paint(colour))
    stage.cylinder(STATIC, 0.33, 0.06, (x, y, 0.9), stage.paint((0.1, 0.1, 0.1)))


def dumpster(stage: Stage, rng: np.random.Generator, x: float, y: float, heading: float) -> None:
    """Wheeled refuse container, 1.3 m tall."""
    colour = [(0.13, 0.33, 0.18), (0.2, 0.24, 0.38), (0.35, 0.33, 0.3)][rng.integers(3)]
    turn = rot_z(heading)
    stage.box(STATIC, (0.85, 0.5, 0.5), (x, y, 0.68), stage.paint(colour), turn)
    stage.box(STATIC, (0.9, 0.55, 0.05), (x, y, 1.22), stage.paint(tuple(0.6 * c for c in colour)), turn)
    for side in (-0.6, 0.6):
        stage.box(
            STATIC,
            (0.08, 0.4, 0.09),
            turn @ (side, 0, 0.09) + [x, y, 0],
            stage.paint((0.05, 0.05, 0.05)),
            turn,
        )


def traffic_light(stage: Stage, x: float, y: float, heading: float) -> None:
    """Signal post that faces `heading`."""
    dark = stage.paint((0.12, 0.13, 0.12))
    stage.cylinder(STATIC, 0.06, 1.6, (x, y, 1.6), stage.paint((0.4, 0.4, 0.4)))
    turn = rot_z(heading)
    stage.box(STATIC, (0.12, 0.15, 0.45), (x, y, 3.4), dark, turn)
    for k, colour in enumerate([(0.9, 0.1, 0.08), (0.35, 0.25, 0.05), (0.05, 0.25, 0.1)]):
        glow = 1.0 if k == 0 else 0.0
        at = turn @ (0.13, 0, 0) + [x, y, 3.68 - 0.28 * k]
        stage.ellipsoid(STATIC, (0.05, 0.09, 0.09), at, stage.paint(colour, 0.2, glow), shadow=False)


def bollards(stage: Stage, start: tuple, end: tuple, count: int) -> None:
    """Row of short posts."""
    for u in np.linspace(0, 1, count):
        x, y = np.array(start) * (1 - u) + np.array(end) * u
        stage.cylinder(STATIC, 0.07, 0.42, (x, y, 0.42), stage.paint((0.25, 0.25, 0.26)))


def fence(stage: Stage, start: tuple, end: tuple, height: float = 1.6) -> None:
    """Post-and-rail fence."""
    grey = stage.paint((0.45, 0.46, 0.46))
    start, end = np.array(start, float), np.array(end, float)
    length, heading = np.linalg.norm(end - start), np.arctan2(*(end - start)[::-1])
    middle = (start + end) / 2
    for z in (0.3, height * 0.6, height):
        stage.box(STATIC, (length / 2, 0.03, 0.035), (*middle, z), grey, rot_z(heading))
    for u in np.linspace(0, 1, int(length / 2) + 1):
        stage.box(STATIC, (0.04, 0.04, height / 2), (*(start + (end - start) * u), height / 2), grey)


def petrol_pump(stage: Stage, x: float, y: float, colour: tuple) -> None:
    """Fuel dispenser."""
    stage.box(STATIC, (0.28, 0.45, 0.85), (x, y, 0.95), stage.paint((0.78, 0.78, 0.76)))
    stage.box(STATIC, (0.3, 0.47, 0.14), (x, y, 1.75), stage.paint(colour))
    stage.box(STATIC, (0.29, 0.25, 0.14), (x, y, 1.35), stage.paint((0.08, 0.1, 0.12)))
    stage.box(STATIC, (0.29, 0.4, 0.2), (x, y, 0.6), stage.paint(colour))
