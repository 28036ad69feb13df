"""Light: the time of day and weather, and lamps and fires."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Weather:
    """Illumination of a scene; `darkness` is 0 by day, 1 at night."""

    darkness: float
    sun: np.ndarray  # direction the light travels
    sun_level: float
    ambient: float
    base: np.ndarray  # RGB factor on everything, before lamps
    sky: np.ndarray  # RGB in [0, 255]
    shadow: float  # how dark cast shadows are, in [0, 1]
    softness: float  # metres of penumbra
    phrase: str

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Weather":
        """Random time and weather."""
        kind = rng.choice(["sunny", "overcast", "dusk", "night"], p=[0.35, 0.25, 0.14, 0.26])
        azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(30, 65))
        sun = -np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])
        if kind == "sunny":
            warm = np.array([1.05, 1.0, 0.93]) * rng.uniform(0.95, 1.12)
            return cls(
                0.0,
                sun,
                0.8,
                0.55,
                warm,
                np.array([190, 212, 235.0]),
                rng.uniform(0.42, 0.56),
                0.05,
                "on a sunny day",
            )
        if kind == "overcast":
            cool = np.array([0.93, 0.97, 1.0]) * rng.uniform(0.85, 1.05)
            return cls(
                0.0,
                np.array([0.1, 0.15, -1.0]),
                0.45,
                0.72,
                cool,
                np.array([205, 208, 210.0]),
                0.28,
                0.45,
                "on a cloudy day",
            )
        down = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.2, 0.5), -1.0])
        if kind == "dusk":
            base = np.array([0.5, 0.46, 0.5]) * rng.uniform(0.8, 1.15)
            return cls(0.55, down, 0.4, 0.6, base, np.array([120, 105, 125.0]), 0.25, 0.3, "at dusk")
        base = np.array([0.15, 0.17, 0.23]) * rng.uniform(0.8, 1.5)
        return cls(1.0, down, 0.42, 0.58, base, np.array([14, 16, 26.0]), 0.4, 0.15, "at night")


@dataclasses.dataclass(frozen=True)
class Light:
    """A soft point light: `level` RGB at its centre, falling to a quarter at `radius` metres."""

    pos: np.ndarray
    level: np.ndarray
    radius: float


def light_field(where: np.ndarray, base: np.ndarray, lights: list[Light]) -> np.ndarray:
    """Illumination (H, W, 3) at world points `where` (H, W, 3): `base` RGB plus all lights."""
    field = np.empty_like(where)
    field[:] = base
    for light in lights:
        away = where - light.pos.astype(np.float32)
        squared = np.einsum("hwk,hwk->hw", away, away) / np.float32(light.radius**2)
        field += light.level.astype(np.float32) / (1 + squared[..., None]) ** 2
    return field
