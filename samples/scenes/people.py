"""People: how they look, and how a pose becomes the placement of their limbs.

A pose is a vector of `POSE` joint angles in radians (and one height); people are posed in batches.
The body faces +x, its left is +y, up is +z. Positive pitch leans forward, swings limbs forward.
"""

import enum

import numpy as np

from .geometry import loft, rot_x, rot_y, rot_z
from .stage import Stage


class J(enum.IntEnum):
    """Index of each joint angle in a pose vector."""

    LIFT = 0
    PITCH = 1
    ROLL = 2
    YAW = 3
    BEND = 4
    TWIST = 5
    LEAN = 6
    NOD = 7
    LOOK = 8
    L_ARM = 9
    L_OUT = 10
    L_ELBOW = 11
    L_TURN = 12
    R_ARM = 13
    R_OUT = 14
    R_ELBOW = 15
    R_TURN = 16
    L_LEG = 17
    L_SPLAY = 18
    L_KNEE = 19
    R_LEG = 20
    R_SPLAY = 21
    R_KNEE = 22


POSE = len(J)
PARTS = ("hips", "chest", "head", "l_arm", "l_fore", "r_arm", "r_fore", "l_leg", "l_shin", "r_leg", "r_shin")
SKIN = [
    (0.86, 0.68, 0.56),
    (0.78, 0.58, 0.45),
    (0.6, 0.42, 0.3),
    (0.42, 0.28, 0.2),
    (0.3, 0.2, 0.15),
    (0.8, 0.65, 0.5),
]
HAIR = [(0.08, 0.06, 0.05), (0.2, 0.13, 0.08), (0.45, 0.33, 0.18), (0.5, 0.5, 0.5), (0.12, 0.1, 0.1)]
CLOTH = [
    (0.10, 0.11, 0.14),
    (0.16, 0.20, 0.35),
    (0.55, 0.12, 0.12),
    (0.70, 0.68, 0.64),
    (0.25, 0.30, 0.22),
    (0.45, 0.40, 0.32),
    (0.75, 0.60, 0.15),
    (0.15, 0.40, 0.42),
    (0.30, 0.30, 0.32),
    (0.62, 0.35, 0.45),
    (0.78, 0.78, 0.80),
    (0.20, 0.45, 0.25),
    (0.70, 0.35, 0.12),
    (0.30, 0.18, 0.40),
]
TROUSER = [
    (0.12, 0.14, 0.22),
    (0.08, 0.08, 0.09),
    (0.35, 0.33, 0.28),
    (0.22, 0.26, 0.36),
    (0.3, 0.22, 0.16),
    (0.4, 0.4, 0.42),
]


class Body:
    """One person's proportions (metres) and the stage frames of their parts."""

    def __init__(self, stage: Stage, rng: np.random.Generator) -> None:
        self.scale = rng.normal(1.0, 0.055)
        stout = rng.uniform(0.9, 1.2)
        self.leg, self.shin = 0.43 * self.scale, 0.45 * self.scale
        self.spine, self.shoulder = 0.47 * self.scale, 0.195 * self.scale * stout**0.5
        self.arm, self.fore = 0.29 * self.scale, 0.27 * self.scale
        self.hip = 0.095 * self.scale
        self.frames = [stage.frame() for _ in PARTS]
        part = dict(zip(PARTS, self.frames, strict=True))
        skin = stage.paint(SKIN[rng.integers(len(SKIN))], 0.1)
        top = stage.paint(np.clip(np.array(CLOTH[rng.integers(len(CLOTH))]) * rng.uniform(0.8, 1.15), 0, 0.82), 0.05)
        legs = stage.paint(np.array(TROUSER[rng.integers(len(TROUSER))]) * rng.uniform(0.8, 1.2), 0.05)
        shoe = stage.paint((0.1, 0.09, 0.08) if rng.random() < 0.7 else (0.7, 0.7, 0.7))
        hair = stage.paint(HAIR[rng.integers(len(HAIR))])
        sleeves = top if rng.random() < 0.7 else skin
        s, w = self.scale, self.scale * stout
        self._torso(stage, part, top, legs, s, w)
        stage.ellipsoid(part["head"], (0.098 * s, 0.083 * s, 0.125 * s), (0.02, 0, 0.15 * s), skin)
        hat = rng.random() < 0.2
        cover = top if hat else hair
        stage.ellipsoid(part["head"], (0.105 * s, 0.095 * s, 0.1 * s), (-0.012, 0, 0.195 * s), cover, shadow=False)
        if not hat and rng.random() < 0.3:
            stage.ellipsoid(part["head"], (0.06 * s, 0.09 * s, 0.17 * s), (-0.07, 0, 0.09 * s), hair, shadow=False)
        for side in "lr":
            self._limb(stage, part[f"{side}_arm"], self.arm, 0.055 * w, top)
            self._limb(stage, part[f"{side}_fore"], self.fore, 0.042 * w, sleeves)
            stage.ellipsoid(
                part[f"{side}_fore"], (0.045 * s, 0.035 * s, 0.07 * s), (0, 0, -self.fore - 0.04), skin, False
            )
            self._limb(stage, part[f"{side}_leg"], self.leg, 0.082 * w, legs)
            self._limb(stage, part[f"{side}_shin"], self.shin, 0.058 * w, legs)
            stage.box(
                part[f"{side}_shin"],
                (0.125 * s, 0.045 * s, 0.04 * s),
                (0.055 * s, 0, -self.shin + 0.02),
                shoe,
            )
        if rng.random() < 0.2:
            bag = stage.paint(CLOTH[rng.integers(len(CLOTH))])
            stage.box(part["chest"], (0.09, 0.14, 0.2), (-0.19, 0, 0.27), bag)

    def _torso(self, stage: Stage, part: dict, top: str, legs: str, s: float, w: float) -> None:
        heights = np.array([-0.06, 0.06, 0.22, 0.4, 0.47, 0.52]) * s
        wide = np.array([0.15, 0.145, 0.165, 0.19, 0.13, 0.05]) * w
        deep = np.array([0.105, 0.1, 0.115, 0.11, 0.08, 0.045]) * w
        angle = np.arange(8) * np.pi / 4
        rings = [
            np.stack([d * np.cos(angle), v * np.sin(angle), z + 0 * angle], 1)
            for z, v, d in zip(heights, wide, deep, strict=True)
        ]
        vertices, faces = loft(np.stack(rings))
        stage.mesh(part["chest"], stage.add_mesh(vertices, faces), top, shadow=vertices[::3])
        stage.ellipsoid(part["hips"], (0.115 * w, 0.155 * w, 0.13 * s), (0, 0, 0), legs)

    def _limb(self, stage: Stage, frame: int, length: float, radius: float, material: str) -> None:
        stage.capsule(frame, radius, length / 2 - 0.2 * radius, (0, 0, -length / 2), material)


def place_bodies(bodies: list[Body], spots: np.ndarray, poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Forward kinematics of a batch of N people.

    Args:
        bodies: N bodies.
        spots: (N, 3) ground position x, y (metres) and heading (radians).
        poses: (N, POSE) pose vectors.

    Returns:
        positions (N, len(PARTS), 3) and rotations (N, len(PARTS), 3, 3) in the order of `PARTS`. Each
        body is raised or lowered so that its lowest point touches the ground, plus the pose's LIFT.

    """
    size = {
        name: np.array([getattr(b, name) for b in bodies])[:, None]
        for name in ("leg", "shin", "spine", "shoulder", "arm", "fore", "hip", "scale")
    }
    angle = poses.T
    y_axis, down = np.array([0.0, 1, 0]), np.array([0.0, 0, -1])
    hips = rot_z(spots[:, 2] + angle[J.YAW]) @ rot_y(angle[J.PITCH]) @ rot_x(angle[J.ROLL])
    chest = hips @ rot_z(angle[J.TWIST]) @ rot_y(angle[J.BEND]) @ rot_x(angle[J.LEAN])
    head = chest @ rot_z(angle[J.LOOK]) @ rot_y(angle[J.NOD])
    hips_at = np.zeros((len(bodies), 3))
    neck = chest[:, :, 2] * size["spine"]
    places, turns = [hips_at, hips_at, neck], [hips, chest, head]
    ends = [neck + head[:, :, 2] * 0.27 * size["scale"], chest[:, :, 2] * 0]
    for sign, arm, out, elbow, turn in (
        (1, J.L_ARM, J.L_OUT, J.L_ELBOW, J.L_TURN),
        (-1, J.R_ARM, J.R_OUT, J.R_ELBOW, J.R_TURN),
    ):
        upper = chest @ rot_y(-angle[arm]) @ rot_x(sign * angle[out]) @ rot_z(-sign * angle[turn])
        lower = upper @ rot_y(-angle[elbow])
        shoulder = chest @ (y_axis * sign) * size["shoulder"] + chest[:, :, 2] * 0.92 * size["spine"]
        joint = shoulder + upper @ down * size["arm"]
        places += [shoulder, joint]
        turns += [upper, lower]
        ends.append(joint + lower @ down * (size["fore"] + 0.06))
    for sign, leg, splay, knee in ((1, J.L_LEG, J.L_SPLAY, J.L_KNEE), (-1, J.R_LEG, J.R_SPLAY, J.R_KNEE)):
        upper = hips @ rot_y(-angle[leg]) @ rot_x(sign * angle[splay])
        lower = upper @ rot_y(angle[knee])
        socket = hips @ (y_axis * sign) * size["hip"] - hips[:, :, 2] * 0.04
        joint = socket + upper @ down * size["leg"]
        places += [socket, joint]
        turns += [upper, lower]
        ends += [joint, joint + lower @ down * (size["shin"] - 0.045)]
    lowest = np.min([point[:, 2] for point in (*places, *ends)], axis=0)
    lying = np.abs(np.sin(angle[J.PITCH])) ** 2
    lift = -lowest + 0.065 + 0.05 * lying + angle[J.LIFT]
    base = np.stack([spots[:, 0], spots[:, 1], lift], 1)
    return np.stack(places, 1) + base[:, None], np.stack(turns, 1)
