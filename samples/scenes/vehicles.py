"""Cars, vans and trucks: their shape, and the stage frames that carry them.

A vehicle faces +x, its left is +y, the origin is on the ground below its middle. Lengths are metres.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from .geometry import faceted, loft, rot_x, rot_y, rot_z
from .stage import STATIC, Stage
from .textures import car_glass, car_paint


@dataclasses.dataclass(frozen=True)
class Shape:
    """Side profile: (x, z) of the body's upper edge and of the roof line, and the overall width."""

    body: tuple[tuple[float, float], ...]
    roof: tuple[tuple[float, float], ...]
    width: float
    wheelbase: float
    wheel: float = 0.32
    floor: float = 0.24

    @property
    def length(self) -> float:
        """Bumper to bumper."""
        return self.body[-1][0] - self.body[0][0]

    @property
    def cowl(self) -> float:
        """Where the windscreen meets the bonnet; everything ahead of it crumples."""
        return self.body[-4][0]


SHAPES = {
    "sedan": Shape(
        ((-2.25, 0.62), (-2.15, 0.86), (-1.5, 0.94), (0.95, 0.92), (1.9, 0.80), (2.15, 0.70), (2.25, 0.5)),
        ((-1.85, 0.9), (-1.15, 1.38), (-0.9, 1.44), (0.15, 1.45), (1.0, 0.9)),
        1.78,
        2.65,
    ),
    "hatchback": Shape(
        ((-1.95, 0.62), (-1.9, 0.88), (-1.5, 0.96), (0.85, 0.96), (1.65, 0.84), (1.9, 0.72), (2.0, 0.5)),
        ((-1.92, 0.92), (-1.6, 1.4), (-1.3, 1.5), (0.05, 1.5), (0.95, 0.94)),
        1.72,
        2.5,
    ),
    "suv": Shape(
        ((-2.3, 0.7), (-2.25, 1.02), (-1.6, 1.1), (0.95, 1.1), (1.9, 1.0), (2.15, 0.9), (2.3, 0.6)),
        ((-2.25, 1.06), (-1.95, 1.66), (-1.7, 1.74), (0.1, 1.74), (0.98, 1.08)),
        1.9,
        2.75,
        0.37,
        0.32,
    ),
    "van": Shape(
        ((-2.6, 0.8), (-2.58, 1.2), (-2.0, 1.24), (1.5, 1.2), (2.1, 1.08), (2.4, 0.95), (2.5, 0.6)),
        ((-2.58, 1.2), (-2.55, 2.1), (-2.3, 2.2), (0.75, 2.2), (1.6, 1.18)),
        1.95,
        3.1,
        0.36,
        0.32,
    ),
}
COLOURS = [
    (0.86, 0.86, 0.86),
    (0.62, 0.64, 0.66),
    (0.14, 0.14, 0.16),
    (0.62, 0.10, 0.10),
    (0.14, 0.22, 0.48),
    (0.10, 0.30, 0.22),
    (0.72, 0.66, 0.52),
    (0.32, 0.34, 0.38),
    (0.80, 0.62, 0.10),
    (0.38, 0.52, 0.68),
]


def _section(x: float, low: float, high: float, half: float, top: float) -> np.ndarray:
    """Hexagonal cross-section (6, 3) at `x`: vertical flanks that lean in to `top` half-width."""
    middle = low + 0.62 * (high - low)
    y = np.array([-half, half, half, top, -top, -half])
    z = np.array([low, low, middle, high, high, middle])
    return np.stack([np.full(6, x), y, z], 1)


def _glazed(vertices: np.ndarray, faces: np.ndarray, base: float, top: float) -> tuple[np.ndarray, ...]:
    """Add a cabin's texture coordinates: side windows with pillars, glass at the ends, a painted roof."""
    corner = vertices[faces]  # (F, 3, 3)
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    facing = np.abs(normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9))
    x, z = corner[..., 0], corner[..., 2]
    uv = np.stack([(x - x.min()) / np.ptp(x), 0.5 + 0.49 * np.clip((z - base) / (top - base), 0, 1)], -1)
    uv[facing[:, 1] < 0.6] = [0.5, 0.25]
    uv[facing[:, 2] > 0.9] = [0.5, 0.02]
    return vertices, faces, uv.reshape(-1, 2)


class Vehicle:
    """One vehicle on the stage; static ones are modelled straight into their parking place."""

    def __init__(
        self, stage: Stage, rng: np.random.Generator, kind: str, at: tuple | None = None, crash: bool = False
    ) -> None:
        """`at` is the (x, y, heading) of a parked car; `crash` adds the crumpled front and loose bonnet."""
        self.stage, self.kind, self.shape = stage, kind, SHAPES[kind]
        self.length, self.width = self.shape.length, self.shape.width
        self.height = max(z for _, z in self.shape.roof)
        self.at, self.crash = at, crash
        self.colour = np.clip(np.array(COLOURS[rng.integers(len(COLOURS))]) * rng.uniform(0.85, 1.1), 0, 0.9)
        panels = stage.once(("car paint",), lambda: stage.texture(car_paint()))
        self.cabin = stage.once(("car glass",), lambda: stage.texture(car_glass()))
        self.paint = stage.retint(panels, tuple(self.colour / 0.82), 0.4)
        self.body = STATIC if at else stage.frame()
        self.front = STATIC if at else (stage.frame() if crash else self.body)
        self.wreck = stage.frame() if crash else None
        self.bonnet = stage.frame() if crash else None
        self._hull()
        self._glass()
        self._wheels()
        self._details()
        if crash:
            self._crumpled(rng)

    def _place(self, pos: tuple, rot: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Stage position and rotation of a part at `pos` on the vehicle."""
        if self.at is None:
            return np.asarray(pos, float), rot
        x, y, heading = self.at
        turn = rot_z(heading)
        return turn @ np.asarray(pos, float) + [x, y, 0], turn if rot is None else turn @ rot

    def _shared(self, name: str, make: Callable[[], tuple[np.ndarray, ...]]) -> str:
        """Name of a mesh that all vehicles of this kind have in common."""
        return self.stage.once((self.kind, name), lambda: self.stage.add_mesh(*make()))

    def _box(self, frame: int, half: tuple, pos: tuple, material: str, rot: np.ndarray | None = None) -> None:
        pos, rot = self._place(pos, rot)
        self.stage.box(frame, half, pos, material, rot, shadow=False)

    def _loft_body(self, stations: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shape = self.shape
        rings = []
        for x, top in stations:
            end = abs(x) / (shape.length / 2)
            half = shape.width / 2 * (1 - 0.1 * max(end - 0.75, 0) * 4 * 0.6)
            rings.append(_section(x, shape.floor, top, half, half * 0.9))
        vertices, faces = faceted(*loft(np.stack(rings)))
        u = (vertices[:, 0] + shape.length / 2) / shape.length
        v = (vertices[:, 2] - shape.floor) / (max(z for _, z in shape.body) - shape.floor)
        return vertices, faces, np.stack([u, np.clip(v, 0.02, 0.98)], 1)

    def _hull(self) -> None:
        shape = self.shape
        split = len(shape.body) - 4
        pos, rot = self._place((0, 0, 0))
        corners = np.array([[x, y, z] for x, z in shape.body[1:-1] for y in (-1, 1) for z in (z, 0.1)], float)
        corners[:, 1] *= shape.width / 2
        rear = self._shared("rear", lambda: self._loft_body(list(shape.body[: split + 1])))
        front = self._shared("front", lambda: self._loft_body(list(shape.body[split:])))
        self.stage.mesh(self.body, rear, self.paint, pos, rot, corners)
        self.stage.mesh(self.front, front, self.paint, pos, rot)

    def _glass(self) -> None:
        shape, roof = self.shape, self.shape.roof

        def glass() -> tuple[np.ndarray, np.ndarray]:
            base, half = roof[0][1] - 0.04, shape.width / 2 * 0.9
            rings = []
            for x, top in roof:
                rise = (top - base) / (self.height - base)
                rings.append(_section(x, base, top + 0.01, half, half * (1 - 0.17 * rise)))
            return _glazed(*faceted(*loft(np.stack(rings))), base, self.height)

        pos, rot = self._place((0, 0, 0))
        corners = np.array([[x, y * shape.width * 0.38, z] for x, z in roof for y in (-1, 1)])
        glazing = self.stage.retint(self.cabin, tuple(self.colour / 0.82), 0.5)
        self.stage.mesh(self.body, self._shared("glass", glass), glazing, pos, rot, corners)
        tint = self.stage.paint(tuple(self.colour * 0.95), 0.5)
        rear, front = roof[-3][0], roof[-2][0]
        half = ((front - rear) / 2 + 0.06, shape.width * 0.37, 0.025)
        self._box(self.body, half, ((front + rear) / 2, 0, self.height), tint)
        if self.kind == "van":
            panel = ((1.3 - roof[0][0]) / 2 - 0.35, shape.width * 0.44, (self.height - 1.1) / 2)
            self._box(self.body, panel, ((roof[0][0] + 0.6) / 2, 0, (self.height + 1.1) / 2), tint)

    def _wheels(self) -> None:
        shape = self.shape

        def disc(radius: float, half: float, around: int) -> tuple[np.ndarray, np.ndarray]:
            angle = np.arange(around) * 2 * np.pi / around
            circle = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], 1)
            return faceted(*loft(np.stack([circle - (0, 0, half), circle + np.array([0, 0, half])])))

        tyre = self._shared("tyre", lambda: disc(shape.wheel, 0.1, 12))
        hub = self._shared("hub", lambda: disc(shape.wheel * 0.6, 0.105, 8))
        rubber, metal = self.stage.paint((0.05, 0.05, 0.05)), self.stage.paint((0.5, 0.5, 0.52), 0.4)
        for x in (-1, 1):
            for y in (-1, 1):
                pos, rot = self._place(
                    (x * shape.wheelbase / 2, y * (shape.width / 2 - 0.08), shape.wheel), rot_x(np.pi / 2)
                )
                self.stage.mesh(self.body, tyre, rubber, pos, rot)
                self.stage.mesh(self.body, hub, metal, pos, rot)

    def _details(self) -> None:
        shape, paint = self.shape, self.stage.paint
        nose, tail = shape.body[-1][0], shape.body[0][0]
        low = shape.body[-1][1]
        lamp, red = paint((0.8, 0.8, 0.76), 0.5, 0.25), paint((0.6, 0.03, 0.03), 0.4, 0.25)
        grey, plate = paint((0.13, 0.13, 0.14)), paint((0.8, 0.8, 0.7))
        for y in (-1, 1):
            self._box(self.front, (0.05, 0.2, 0.075), (nose - 0.06, y * shape.width * 0.34, low + 0.09), lamp)
            self._box(
                self.body,
                (0.04, 0.15, 0.1),
                (tail + 0.05, y * shape.width * 0.36, shape.body[0][1] + 0.06),
                red,
            )
            mirror = (shape.cowl - 0.25, y * (shape.width / 2 + 0.06), shape.body[-4][1] + 0.08)
            self._box(self.body, (0.06, 0.08, 0.06), mirror, paint(tuple(self.colour * 0.8)))
        self._box(self.front, (0.06, shape.width * 0.44, 0.1), (nose - 0.01, 0, 0.36), grey)
        self._box(self.body, (0.06, shape.width * 0.44, 0.1), (tail + 0.01, 0, 0.38), grey)
        self._box(self.front, (0.02, 0.24, 0.055), (nose + 0.06, 0, 0.42), plate)
        self._box(self.body, (0.02, 0.24, 0.055), (tail - 0.06, 0, 0.5), plate)

    def _crumpled(self, rng: np.random.Generator) -> None:
        """Model the front after an impact: short, bent and jagged, with bare metal and the bonnet loose."""
        shape = self.shape
        stations = []
        for x, top in shape.body[-4:]:
            ahead = x - shape.cowl
            stations.append((shape.cowl + ahead * 0.62, top - 0.12 * ahead))
        vertices, faces, uv = self._loft_body(stations)
        weight = np.clip((vertices[:, :1] - shape.cowl) / 0.5, 0, 1)
        corner = np.round(vertices * 20).astype(np.int64) @ np.array([73856093, 19349663, 83492791])
        jitter = np.stack([np.sin(corner * 0.013 * (k + 1) + rng.uniform(0, 6)) for k in range(3)], 1)
        vertices = vertices + weight * jitter * [0.14, 0.12, 0.12]
        self.stage.mesh(self.wreck, self.stage.add_mesh(vertices, faces, uv), self.paint)
        metal = self.stage.paint((0.18, 0.17, 0.16))
        nose = shape.cowl + (shape.body[-1][0] - shape.cowl) * 0.6
        for _ in range(5):
            at = (nose + rng.uniform(-0.25, 0.1), rng.uniform(-0.7, 0.7), rng.uniform(0.3, 0.75))
            self.stage.box(self.wreck, tuple(rng.uniform(0.03, 0.16, 3)), at, metal, rot_y(rng.uniform(0, 3)))
        panel = (shape.body[-1][0] - shape.cowl) * 0.42
        self.stage.box(self.bonnet, (panel / 2, shape.width * 0.42, 0.02), (panel / 2, 0, 0), self.paint, rot_y(-0.1))
        self.stage.box(
            self.bonnet,
            (panel / 2, shape.width * 0.4, 0.02),
            (panel * 1.45, 0, -0.12),
            self.paint,
            rot_y(0.35),
        )

    def pose(
        self,
        state: np.ndarray,
        wrecked: bool,
        bonnet: float,
        pos: np.ndarray,
        rot: np.ndarray,
        show: np.ndarray,
    ) -> None:
        """Write this vehicle's frames into the stage-wide `pos` (F, 3), `rot` (F, 3, 3) and `show` (F,).

        `state` is x, y, z (metres), heading, pitch and roll (radians); `bonnet` its opening angle.
        """
        turn = rot_z(state[3]) @ rot_y(-state[4]) @ rot_x(state[5])
        for frame in {self.body, self.front, self.wreck} - {None}:
            pos[frame], rot[frame] = state[:3], turn
            show[frame] = frame != (self.front if wrecked else self.wreck)
        if self.crash:
            show[self.bonnet] = wrecked
            hinge = np.array([self.shape.cowl, 0, self.shape.body[-4][1] + 0.02])
            pos[self.bonnet], rot[self.bonnet] = state[:3] + turn @ hinge, turn @ rot_y(-bonnet)
