"""Fire, smoke and blasts: which sprites they show and what light they cast at any time."""

import numpy as np

from .geometry import smoothstep
from .light import Light
from .sprites import FLAME_FRAMES, HEATS, PUFFS, Sprite, fireballs, flames, glow, puffs


class Smoke:
    """A rising column fed from `spots` between `begin` and `end` seconds, then thinning out."""

    def __init__(
        self,
        rng: np.random.Generator,
        spots: np.ndarray,
        begin: float,
        end: float,
        size: float = 1.0,
        tone: float = 0.25,
        rate: float = 6.0,
        life: float = 5.0,
        alpha: float = 0.75,
        ramp: float = 2.5,
    ) -> None:
        self.begin, self.size, self.tone, self.life, self.alpha = begin, size, tone, life, alpha
        count = max(int((end - begin) * rate), 1)
        self.births = begin + (np.arange(count) + rng.random(count)) / rate
        self.fed = smoothstep((self.births - begin + 0.1) / ramp) * (
            0.35 + 0.65 * smoothstep((end - self.births) / 2.0)
        )
        self.origin = spots[rng.integers(len(spots), size=count)] + rng.normal(0, 0.15 * size, (count, 3))
        angle = rng.uniform(0, 2 * np.pi)
        self.wind = np.array([np.cos(angle), np.sin(angle), 0]) * rng.uniform(0.1, 0.7)
        self.drift = rng.normal(0, 0.18, (count, 3)) * size**0.5
        self.spin = rng.uniform(-0.3, 0.3, count)
        self.kind = rng.integers(PUFFS, size=count)

    def sprites(self, t: float, ambient: np.ndarray) -> list[Sprite]:
        """List what to draw at `t` seconds under `ambient` RGB light (1 is daylight)."""
        out = []
        for k in np.flatnonzero((self.births <= t) & (t < self.births + self.life)):
            age = t - self.births[k]
            u = age / self.life
            rise = (1.15 * self.size**0.5) * (age - 0.06 * age**2)
            pos = self.origin[k] + self.drift[k] * age + self.wind * age * (0.4 + u) + [0, 0, rise]
            size = self.size * (0.7 + 2.2 * u**0.8) * (0.4 + 0.6 * self.fed[k])
            strength = self.alpha * self.fed[k] * smoothstep(age / 0.5) * (1 - u) ** 1.2
            tone = self.tone * (1 + 0.6 * u)
            out.append(Sprite(pos, size, puffs()[self.kind[k]], strength, 1.0, ambient * tone, self.spin[k] * age + k))
        return out

    def lights(self, t: float) -> list[Light]:  # noqa: ARG002
        """Smoke casts none."""
        return []


class Fire:
    """Flames standing on `spots` (K, 3), kindled one after another from `begin`, dying down at `end`."""

    def __init__(
        self, rng: np.random.Generator, spots: np.ndarray, begin: float, end: float, size: float, grow: float
    ) -> None:
        self.spots, self.begin, self.end, self.size, self.grow = spots, begin, end, size, grow
        self.delay = np.sort(rng.uniform(0, 0.7, len(spots))) * grow
        self.delay[0] = 0
        self.phase = rng.integers(FLAME_FRAMES, size=len(spots))
        self.scale = rng.uniform(0.65, 1.25, len(spots))
        self.speed = rng.uniform(0.9, 1.2, len(spots))

    def level(self, t: float) -> np.ndarray:
        """How strongly each spot burns (K,), in [0, 1]."""
        up = smoothstep((t - self.begin - self.delay) / (0.6 * self.grow))
        return up * smoothstep((self.end - t) / 1.0)

    def sprites(self, t: float, ambient: np.ndarray) -> list[Sprite]:  # noqa: ARG002
        """List what to draw at `t` seconds."""
        out = []
        for k, level in enumerate(self.level(t)):
            if level > 0.02:
                tall = self.size * self.scale[k] * (0.35 + 0.65 * level)
                frame = int(t * 25 * self.speed[k] + self.phase[k]) % FLAME_FRAMES
                image = flames()[frame] if k % 2 else flames()[frame, :, ::-1]
                out.append(
                    Sprite(self.spots[k] + [0, 0, 0.4 * tall], tall, image, min(1.7 * level, 1.0), 0.85, layer=1)
                )
                out.append(
                    Sprite(
                        self.spots[k] + [0, 0, 0.3 * tall],
                        2.4 * tall,
                        glow(),
                        0.16 * level,
                        0,
                        np.array([1.0, 0.5, 0.15]),
                    )
                )
        return out

    def lights(self, t: float) -> list[Light]:
        """One flickering light over the whole fire."""
        level = self.level(t).mean()
        if level < 0.02:
            return []
        flicker = 1 + 0.16 * np.sin(31 * t) * np.sin(17.3 * t + 1) + 0.08 * np.sin(53 * t)
        colour = np.array([1.5, 0.72, 0.25]) * level * flicker
        return [Light(self.spots.mean(0) + np.array([0, 0, 0.5 * self.size]), colour, 2.2 + 1.5 * self.size)]


class Blast:
    """A fireball at `spot` at `begin` seconds that rolls up into dark smoke."""

    def __init__(self, rng: np.random.Generator, spot: np.ndarray, begin: float, size: float) -> None:
        self.begin, self.size, self.spot = begin, size, spot
        count = 34
        way = rng.normal(0, 1, (count, 3))
        way[:, 2] = np.abs(way[:, 2]) * 0.9 + 0.15
        self.way = way / np.linalg.norm(way, axis=1)[:, None] * rng.uniform(0.3, 1.0, (count, 1))
        self.life = rng.uniform(2.2, 5.0, count)
        self.cool = rng.uniform(1.1, 2.8, count)
        self.kind = rng.integers(PUFFS, size=count)
        self.scale = rng.uniform(0.6, 1.2, count)
        sparks = 30
        self.sparks = rng.normal(0, 1, (sparks, 3)) * [4, 4, 3] * size**0.5 + [0, 0, 7]
        self.spark_life = rng.uniform(0.5, 1.6, sparks)

    def sprites(self, t: float, ambient: np.ndarray) -> list[Sprite]:
        """List what to draw at `t` seconds."""
        age = t - self.begin
        out = []
        if age < 0 or age > self.life.max():
            return out
        spread = 1 - np.exp(-4.5 * age)
        for k in np.flatnonzero(age < self.life):
            u = age / self.life[k]
            heat = 1.25 - age / self.cool[k]
            pos = self.spot + self.way[k] * self.size * 1.35 * spread + [0, 0, 0.35 * self.size * spread + 0.5 * age]
            size = self.size * self.scale[k] * (0.35 + 1.1 * spread + 0.25 * age)
            strength = smoothstep(age / 0.06) * (1 - u**2)
            hot = strength * smoothstep((heat - 0.02) / 0.3)
            if hot > 0.01:
                level = int(np.clip(heat, 0, 0.99) * HEATS)
                out.append(Sprite(pos, size, fireballs()[level, self.kind[k]], hot, 0.9, None, k + 0.3 * age))
            tone = ambient * 0.17
            dark = strength * 0.8 * smoothstep((0.75 - heat) / 0.6)
            if dark > 0.01:
                out.append(Sprite(pos, size * 1.1, puffs()[self.kind[k]], dark, 1.0, tone, k + 0.3 * age))
        for k in np.flatnonzero(age < self.spark_life):
            pos = self.spot + self.sparks[k] * age + [0, 0, -4.9 * age**2]
            if pos[2] > 0:
                out.append(Sprite(pos, 0.25, glow(), 1.2, 0, np.array([1.0, 0.65, 0.25])))
        flash = np.exp(-age / 0.16)
        out.append(
            Sprite(
                self.spot + np.array([0, 0, 0.6]),
                11 * self.size,
                glow(),
                1.3 * flash,
                0,
                np.array([1.0, 0.92, 0.75]),
            )
        )
        return out

    def lights(self, t: float) -> list[Light]:
        """Flash and glow of the fireball."""
        age = t - self.begin
        if age < 0 or age > 3:
            return []
        level = 7 * np.exp(-age / 0.15) + 2.6 * np.exp(-age / 0.8)
        return [Light(self.spot + np.array([0, 0, 1.5]), np.array([1.0, 0.66, 0.3]) * level, 5 * self.size**0.5)]
