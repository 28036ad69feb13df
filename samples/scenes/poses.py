"""What bodies do: each function maps a phase or a time to a pose vector (POSE,) of joint angles."""

import numpy as np

from .geometry import smoothstep
from .people import POSE, J


def pose(**angles: float) -> np.ndarray:
    """Pose vector (POSE,) from joint names, e.g. `pose(L_ARM=0.4)`; the rest hangs straight."""
    vector = np.zeros(POSE)
    for name, value in angles.items():
        vector[J[name]] = value
    return vector


RELAXED = pose(L_OUT=0.12, R_OUT=0.12, L_ELBOW=0.2, R_ELBOW=0.2, L_SPLAY=0.04, R_SPLAY=0.04)
GUARD = pose(
    BEND=0.22,
    NOD=0.1,
    TWIST=0.3,
    L_ARM=0.75,
    L_ELBOW=1.75,
    L_OUT=0.25,
    R_ARM=0.55,
    R_ELBOW=2.0,
    R_OUT=0.25,
    L_LEG=0.42,
    L_KNEE=0.45,
    R_LEG=-0.22,
    R_KNEE=0.42,
    L_SPLAY=0.1,
    R_SPLAY=0.12,
    L_TURN=0.3,
    R_TURN=0.3,
)
JAB = GUARD + pose(BEND=0.15, TWIST=-0.75, R_ARM=0.95, R_ELBOW=-1.85, R_LEG=-0.15, L_LEG=0.2)
HOOK = GUARD + pose(TWIST=0.75, L_ARM=0.75, L_ELBOW=-0.95, L_OUT=0.55, BEND=0.15)
OVERHAND = GUARD + pose(TWIST=-0.6, R_ARM=1.7, R_ELBOW=-1.2, R_OUT=0.4, BEND=0.35)
WINDUP = GUARD + pose(TWIST=-0.9, R_ARM=-1.1, R_OUT=0.6, R_ELBOW=-0.4, BEND=-0.2)
KICK = GUARD + pose(BEND=-0.45, PITCH=-0.1, R_LEG=1.85, R_KNEE=-0.25, L_KNEE=-0.25, L_LEG=-0.3, R_OUT=0.4, L_OUT=0.5)
KNEE = GUARD + pose(R_LEG=1.75, R_KNEE=1.3, BEND=0.2, L_ARM=0.4, R_ARM=0.5)
SHOVE = GUARD + pose(TWIST=-0.3, BEND=0.3, L_ARM=0.75, R_ARM=0.95, L_ELBOW=-1.55, R_ELBOW=-1.8)
STOMP = pose(
    BEND=0.45,
    L_OUT=0.7,
    R_OUT=0.8,
    L_ELBOW=0.9,
    R_ELBOW=0.9,
    L_ARM=0.3,
    R_ARM=-0.2,
    R_LEG=1.35,
    R_KNEE=1.5,
    L_KNEE=0.2,
    L_LEG=0.15,
)
LOW_KICK = pose(
    BEND=0.05,
    PITCH=-0.12,
    L_OUT=0.8,
    R_OUT=0.6,
    L_ARM=0.7,
    R_ARM=-0.6,
    L_ELBOW=0.6,
    R_ELBOW=0.7,
    R_LEG=0.95,
    L_KNEE=0.25,
    L_LEG=0.1,
)
RECOIL = pose(
    BEND=-0.45,
    NOD=-0.5,
    LEAN=0.25,
    TWIST=0.4,
    L_ARM=0.5,
    L_OUT=0.9,
    R_OUT=0.9,
    L_ELBOW=0.9,
    R_ELBOW=0.8,
    L_LEG=0.35,
    L_KNEE=0.3,
    R_LEG=-0.35,
    R_KNEE=0.35,
)
DOUBLED = pose(
    BEND=1.0,
    NOD=0.4,
    L_ARM=0.9,
    R_ARM=0.9,
    L_ELBOW=1.6,
    R_ELBOW=1.6,
    L_TURN=0.7,
    R_TURN=0.7,
    L_LEG=0.5,
    L_KNEE=0.7,
    R_LEG=0.4,
    R_KNEE=0.8,
)
CLINCH = pose(
    BEND=0.55,
    NOD=0.3,
    L_ARM=1.1,
    R_ARM=1.25,
    L_ELBOW=0.5,
    R_ELBOW=0.6,
    L_OUT=0.35,
    R_OUT=0.35,
    L_LEG=0.55,
    L_KNEE=0.5,
    R_LEG=-0.35,
    R_KNEE=0.3,
    L_SPLAY=0.12,
    R_SPLAY=0.12,
)
SUPINE = pose(PITCH=-1.52, L_ARM=0.3, L_OUT=0.9, R_OUT=1.1, L_ELBOW=0.7, R_ELBOW=0.5, L_LEG=0.2, L_KNEE=0.6, R_LEG=0.05)
CURLED = pose(
    PITCH=-1.45,
    ROLL=1.2,
    BEND=0.5,
    NOD=0.5,
    L_ARM=1.7,
    R_ARM=1.6,
    L_ELBOW=2.1,
    R_ELBOW=2.0,
    L_LEG=1.2,
    R_LEG=1.0,
    L_KNEE=1.6,
    R_KNEE=1.5,
)
SITTING = pose(L_LEG=1.5, R_LEG=1.5, L_KNEE=1.5, R_KNEE=1.45, L_ARM=0.5, R_ARM=0.5, L_ELBOW=0.6, R_ELBOW=0.6, BEND=0.1)
CROUCH = pose(BEND=0.5, L_LEG=1.5, R_LEG=1.0, L_KNEE=2.1, R_KNEE=2.0, L_ARM=0.9, R_ARM=0.9, L_ELBOW=0.7, R_ELBOW=0.7)
COWER = pose(
    BEND=0.9,
    NOD=0.4,
    L_ARM=2.0,
    R_ARM=2.0,
    L_ELBOW=2.0,
    R_ELBOW=2.0,
    L_LEG=1.2,
    R_LEG=0.9,
    L_KNEE=1.7,
    R_KNEE=1.7,
)
THROW_BACK = RELAXED + pose(R_ARM=-1.3, R_OUT=0.5, R_ELBOW=0.9, TWIST=-0.7, BEND=-0.2, L_ARM=0.7, L_LEG=0.3, R_LEG=-0.3)
THROW_END = RELAXED + pose(R_ARM=1.7, R_ELBOW=0.1, TWIST=0.6, BEND=0.5, L_LEG=0.5, R_LEG=-0.4, L_KNEE=0.3)
POUR = RELAXED + pose(BEND=0.45, R_ARM=1.15, R_ELBOW=0.35, L_ARM=1.0, L_ELBOW=0.6, L_LEG=0.3, R_LEG=-0.2, L_KNEE=0.3)


def gait(distance: float, stride: float, vigour: float) -> np.ndarray:
    """Walk (vigour 0) to run (vigour 1), `distance` metres on, with a full cycle of `stride` metres."""
    phase = 2 * np.pi * distance / stride
    swing = np.sin(phase)
    reach = np.arcsin(np.clip(stride / 4 / 0.9, 0, 0.85)) * (1 - 0.25 * vigour)
    vector = RELAXED.copy()
    vector[J.L_LEG], vector[J.R_LEG] = reach * swing, -reach * swing
    lift = 0.75 + 0.95 * vigour
    vector[J.L_KNEE] = 0.12 + lift * max(np.cos(phase), 0) ** 1.3
    vector[J.R_KNEE] = 0.12 + lift * max(-np.cos(phase), 0) ** 1.3
    vector[J.L_LEG] += 0.35 * (vector[J.L_KNEE] - 0.12) * (0.6 + 0.5 * vigour)
    vector[J.R_LEG] += 0.35 * (vector[J.R_KNEE] - 0.12) * (0.6 + 0.5 * vigour)
    arms = (0.45 + 0.45 * vigour) * swing
    vector[J.L_ARM], vector[J.R_ARM] = -arms, arms
    vector[J.L_ELBOW] = vector[J.R_ELBOW] = 0.25 + 1.2 * vigour
    vector[J.TWIST] = -0.1 * swing
    vector[J.BEND] = 0.04 + 0.2 * vigour
    vector[J.LIFT] = 0.05 * vigour * abs(np.sin(phase))
    return vector


def standing(t: float, seed: float) -> np.ndarray:
    """Idle standing: weight shifts and looks around."""
    vector = RELAXED.copy()
    vector[J.LEAN] = 0.05 * np.sin(0.5 * t + seed)
    vector[J.LOOK] = 0.6 * np.sin(0.37 * t + 2 * seed)
    vector[J.L_ARM] = 0.08 * np.sin(0.8 * t + seed)
    vector[J.L_LEG] = 0.06 * np.sin(seed)
    if seed % 2 > 1:  # hands at a phone
        vector[[J.R_ARM, J.R_ELBOW, J.R_TURN, J.NOD]] = 0.5, 1.9, 0.5, 0.35
    return vector


def chatting(t: float, seed: float) -> np.ndarray:
    """Standing and gesturing now and then."""
    vector = RELAXED.copy()
    talk = max(np.sin(0.55 * t + 3 * seed), 0)
    vector[J.R_ARM] = talk * (0.45 + 0.2 * np.sin(5 * t))
    vector[J.R_ELBOW] = 0.2 + talk * (1.0 + 0.3 * np.sin(4.1 * t + seed))
    vector[J.L_ELBOW] = 0.2 + 0.8 * max(np.sin(0.4 * t + seed), 0)
    vector[J.NOD] = 0.08 * np.sin(2.2 * t + seed)
    vector[J.LEAN] = 0.05 * np.sin(0.6 * t + seed)
    return vector


def shaking_hands(t: float, seed: float) -> np.ndarray:
    """Right hand held out and pumped gently."""
    return chatting(t, seed) * 0.3 + 0.7 * RELAXED + pose(R_ARM=0.55, R_ELBOW=0.75 + 0.15 * np.sin(7 * t), BEND=0.1)


def sitting(t: float, seed: float) -> np.ndarray:
    """On a bench, about 0.45 m high."""
    return SITTING + pose(LOOK=0.5 * np.sin(0.3 * t + seed), NOD=0.15, L_KNEE=0.06 * np.sin(t + seed))


def cowering(t: float, seed: float) -> np.ndarray:
    """Ducked with the arms over the head."""
    return COWER + pose(TWIST=0.1 * np.sin(9 * t + seed))


def pointing(t: float, seed: float) -> np.ndarray:
    """Point at something, or put the hands to the head."""
    if seed % 2 > 1:
        return RELAXED + pose(R_ARM=1.45 + 0.1 * np.sin(2 * t), R_ELBOW=-0.1, LEAN=0.05 * np.sin(t))
    return RELAXED + pose(
        L_ARM=2.2, R_ARM=2.2, L_ELBOW=2.0, R_ELBOW=2.0, L_OUT=0.5, R_OUT=0.5, LEAN=0.06 * np.sin(2 * t)
    )


def strike(base: np.ndarray, move: np.ndarray, u: float) -> np.ndarray:
    """Shoot from `base` into `move` and return while `u` goes from 0 to 1."""
    weight = smoothstep(u / 0.28) * (1 - smoothstep((u - 0.42) / 0.5))
    return base + (move - base) * weight
