"""Fire, smoke and blasts: soft sprites placed in 3D, blended into the picture, and the light they cast."""

import dataclasses
import functools

import cv2
import numpy as np

from .camera import Camera
from .geometry import smoothstep
from .textures import noise

FLAME_FRAMES = 40
PUFFS = 8
HEATS = 8


@dataclasses.dataclass(frozen=True)
class Sprite:
    """A camera-facing picture at `pos` (3,), `size` metres tall; RGBA is premultiplied float32."""

    pos: np.ndarray
    size: float
    image: np.ndarray
    strength: float
    cover: float  # how much of what is behind is hidden: 0 adds light only, 1 hides it
    tint: np.ndarray | None = None
    angle: float = 0.0


@dataclasses.dataclass(frozen=True)
class Light:
    """A soft point light: `level` RGB at its centre, falling to a quarter at `radius` metres."""

    pos: np.ndarray
    level: np.ndarray
    radius: float


def heat_colour(heat: np.ndarray) -> np.ndarray:
    """Black-body-like ramp: (...,) in [0, 1] to RGB (..., 3) in [0, 255]."""
    stops = [0, 0.2, 0.45, 0.7, 1.0]
    table = [(0, 0, 0), (120, 18, 4), (240, 92, 12), (255, 190, 60), (255, 250, 215)]
    return np.stack([np.interp(heat, stops, [row[k] for row in table]) for k in range(3)], -1).astype(np.float32)


@functools.cache
def flames() -> np.ndarray:
    """A looping flame animation (FLAME_FRAMES, 96, 64, 4): RGB light and opacity, premultiplied."""
    rng = np.random.default_rng(7)
    size = FLAME_FRAMES * 4
    coarse, fine = noise(rng, size, 30), noise(rng, size, 12)
    y, x = np.mgrid[0:96, 0:64]
    height, side = (95 - y) / 95, (x - 31.5) / 31.5
    frames = []
    for k in range(FLAME_FRAMES):
        rough = np.roll(coarse, -4 * k, 0)[:96, :64] * 0.62 + np.roll(fine, -8 * k, 0)[:96, :64] * 0.45
        sway = side + 0.35 * height * np.roll(coarse, -4 * k, 0)[:96, 70:134]
        width = 0.82 * (1 - height) ** 0.7 + 0.08
        body = 1 - (np.abs(sway) / width) ** 1.6
        heat = np.clip(body + 0.62 * rough * (0.35 + height) - 0.75 * height**1.3, 0, 1)
        heat *= np.clip(height * 9, 0, 1) * np.clip((1 - np.abs(side)) * 5, 0, 1)
        alpha = smoothstep(heat * 2.6)
        frames.append(np.dstack([heat_colour(heat), alpha]))
    return np.stack(frames).astype(np.float32)


@functools.cache
def puffs() -> np.ndarray:
    """Grey billows (PUFFS, 96, 96, 4), lit from above; premultiplied, RGB in [0, 255]."""
    rng = np.random.default_rng(8)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    out = []
    for _ in range(PUFFS):
        lumps = noise(rng, 96, 26) * 0.3 + noise(rng, 96, 11) * 0.17
        body = 1.05 - np.hypot(x, y) * 1.25 + 0.42 * lumps
        alpha = smoothstep(body * 1.6) * smoothstep((1 - np.hypot(x, y)) * 4)
        relief = cv2.Sobel(cv2.GaussianBlur((body + lumps).astype(np.float32), (0, 0), 2), cv2.CV_32F, 0, 1)
        tone = np.clip(150 + 500 * relief + 20 * lumps, 70, 235)
        out.append(np.dstack([np.repeat((tone * alpha)[..., None], 3, 2), alpha]))
    return np.stack(out).astype(np.float32)


@functools.cache
def fireballs() -> np.ndarray:
    """Burning billows (HEATS, PUFFS, 96, 96, 4) from barely glowing to white hot."""
    grey = puffs()
    levels = []
    for heat in np.linspace(0.25, 1.25, HEATS):
        alpha = grey[..., 3]
        tone = grey[..., 0] / np.maximum(alpha, 1e-3) / 150
        colour = heat_colour(np.clip(heat * tone * (0.55 + 0.45 * alpha), 0, 1))
        levels.append(np.concatenate([colour * alpha[..., None], alpha[..., None]], -1))
    return np.stack(levels).astype(np.float32)


@functools.cache
def glow() -> np.ndarray:
    """A round soft glow (64, 64, 4)."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    value = np.clip(1 - np.hypot(x, y), 0, 1) ** 2.5
    return np.dstack([value * 255, value * 255, value * 255, value]).astype(np.float32)


def paint_sprites(picture: np.ndarray, depth: np.ndarray, camera: Camera, sprites: list[Sprite]) -> None:
    """Blend sprites into `picture` (H, W, 3) float32 in place, far ones first, behind nearer surfaces."""
    if not sprites:
        return
    places, depths = camera.project(np.stack([sprite.pos for sprite in sprites]))
    for index in np.argsort(-depths):
        if depths[index] > 0.6:
            _paint(picture, depth, sprites[index], places[index], depths[index], camera.focal)


def _paint(picture: np.ndarray, depth: np.ndarray, sprite: Sprite, at: np.ndarray, away: float, focal: float) -> None:
    tall = min(sprite.size * focal / away, 420)
    wide = tall * sprite.image.shape[1] / sprite.image.shape[0]
    if tall < 2 or sprite.strength < 0.01:
        return
    x0, y0 = int(at[0] - wide / 2), int(at[1] - tall / 2)
    x1, y1 = x0 + max(int(wide), 2), y0 + max(int(tall), 2)
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1, picture.shape[1]), min(y1, picture.shape[0])
    if left >= right or top >= bottom:
        return
    image = sprite.image
    if sprite.angle:
        middle = (image.shape[1] / 2, image.shape[0] / 2)
        image = cv2.warpAffine(image, cv2.getRotationMatrix2D(middle, np.degrees(sprite.angle), 1), image.shape[1::-1])
    image = cv2.resize(image, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    image = image[top - y0 : bottom - y0, left - x0 : right - x0]
    soft = 0.35 * sprite.size
    seen = np.clip((depth[top:bottom, left:right] - away + soft) / soft, 0, 1) * np.float32(sprite.strength)
    colour, alpha = image[..., :3], image[..., 3] * seen * np.float32(sprite.cover)
    light = colour * seen[..., None]
    if sprite.tint is not None:
        light *= sprite.tint.astype(np.float32)
    region = picture[top:bottom, left:right]
    region *= 1 - alpha[..., None]
    region += light


def light_field(where: np.ndarray, base: np.ndarray, lights: list[Light]) -> np.ndarray:
    """Illumination (H, W, 3) at world points `where` (H, W, 3): `base` RGB plus all lights."""
    field = np.empty_like(where)
    field[:] = base
    for light in lights:
        away = where - light.pos.astype(np.float32)
        squared = np.einsum("hwk,hwk->hw", away, away) / np.float32(light.radius**2)
        field += light.level.astype(np.float32) / (1 + squared[..., None]) ** 2
    return field


class Smoke:
    """A rising column fed from `spots` between `begin` and `end` seconds, then thinning out."""

    def __init__(
        self, rng: np.random.Generator, spots: np.ndarray, begin: float, end: float,
        size: float = 1.0, tone: float = 0.25, rate: float = 6.0, life: float = 5.0, alpha: float = 0.75,
    ) -> None:  # fmt: skip
        self.begin, self.size, self.tone, self.life, self.alpha = begin, size, tone, life, alpha
        count = max(int((end - begin) * rate), 1)
        self.births = begin + (np.arange(count) + rng.random(count)) / rate
        self.fed = smoothstep((self.births - begin) / 2.5) * (0.35 + 0.65 * smoothstep((end - self.births) / 2.0))
        self.origin = spots[rng.integers(len(spots), size=count)] + rng.normal(0, 0.15 * size, (count, 3))
        angle = rng.uniform(0, 2 * np.pi)
        self.wind = np.array([np.cos(angle), np.sin(angle), 0]) * rng.uniform(0.1, 0.7)
        self.drift = rng.normal(0, 0.18, (count, 3)) * size**0.5
        self.spin = rng.uniform(-0.3, 0.3, count)
        self.kind = rng.integers(PUFFS, size=count)

    def sprites(self, t: float, ambient: np.ndarray) -> list[Sprite]:
        """What to draw at `t` seconds under `ambient` RGB light (1 is daylight)."""
        out = []
        for k in np.flatnonzero((self.births <= t) & (t < self.births + self.life)):
            age = t - self.births[k]
            u = age / self.life
            rise = (1.5 * self.size**0.5) * (age - 0.06 * age**2)
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

    def __init__(self, rng: np.random.Generator, spots: np.ndarray, begin: float, end: float, size: float, grow: float) -> None:
        self.spots, self.begin, self.end, self.size, self.grow = spots, begin, end, size, grow
        self.delay = np.sort(rng.uniform(0, 0.7, len(spots))) * grow
        self.delay[0] = 0
        self.phase = rng.integers(FLAME_FRAMES, size=len(spots))
        self.scale = rng.uniform(0.65, 1.25, len(spots))
        self.speed = rng.uniform(0.9, 1.2, len(spots))

    def level(self, t: float) -> np.ndarray:
        """How strongly each spot burns (K,), in [0, 1]."""
        up = smoothstep((t - self.begin - self.delay) / (0.6 * self.grow))
        return up * smoothstep((self.end - t) / 1.5)

    def sprites(self, t: float, ambient: np.ndarray) -> list[Sprite]:  # noqa: ARG002
        """What to draw at `t` seconds."""
        out = []
        for k, level in enumerate(self.level(t)):
            if level > 0.02:
                tall = self.size * self.scale[k] * (0.35 + 0.65 * level)
                frame = int(t * 25 * self.speed[k] + self.phase[k]) % FLAME_FRAMES
                image = flames()[frame] if k % 2 else flames()[frame, :, ::-1]
                out.append(Sprite(self.spots[k] + [0, 0, 0.4 * tall], tall, image, min(1.5 * level, 1.0), 0.85))
                out.append(Sprite(self.spots[k] + [0, 0, 0.3 * tall], 2.4 * tall, glow(), 0.16 * level, 0, np.array([1.0, 0.5, 0.15])))
        return out

    def lights(self, t: float) -> list[Light]:
        """One flickering light over the whole fire."""
        level = self.level(t).mean()
        if level < 0.02:
            return []
        flicker = 1 + 0.16 * np.sin(31 * t) * np.sin(17.3 * t + 1) + 0.08 * np.sin(53 * t)
        colour = np.array([1.5, 0.72, 0.25]) * level * flicker
        return [Light(self.spots.mean(0) + [0, 0, 0.5 * self.size], colour, 2.2 + 1.5 * self.size)]


class Blast:
    """A fireball at `spot` at `begin` seconds that rolls up into dark smoke."""

    def __init__(self, rng: np.random.Generator, spot: np.ndarray, begin: float, size: float) -> None:
        self.begin, self.size, self.spot = begin, size, spot
        count = 34
        way = rng.normal(0, 1, (count, 3))
        way[:, 2] = np.abs(way[:, 2]) * 0.9 + 0.15
        self.way = way / np.linalg.norm(way, axis=1)[:, None] * rng.uniform(0.3, 1.0, (count, 1))
        self.life = rng.uniform(1.6, 4.2, count)
        self.cool = rng.uniform(0.7, 1.7, count)
        self.kind = rng.integers(PUFFS, size=count)
        self.scale = rng.uniform(0.6, 1.2, count)
        sparks = 30
        self.sparks = rng.normal(0, 1, (sparks, 3)) * [4, 4, 3] * size**0.5 + [0, 0, 7]
        self.spark_life = rng.uniform(0.5, 1.6, sparks)

    def sprites(self, t: float, ambient: np.ndarray) -> list[Sprite]:
        """What to draw at `t` seconds."""
        age = t - self.begin
        out = []
        if age < 0 or age > self.life.max():
            return out
        spread = 1 - np.exp(-4.5 * age)
        for k in np.flatnonzero(age < self.life):
            u = age / self.life[k]
            heat = 1.25 - age / self.cool[k]
            pos = self.spot + self.way[k] * self.size * 1.35 * spread + [0, 0, 0.5 * self.size * spread + 0.75 * age]
            size = self.size * self.scale[k] * (0.35 + 1.1 * spread + 0.25 * age)
            strength = smoothstep(age / 0.06) * (1 - u**2)
            if heat > 0.1:
                level = int(np.clip(heat, 0, 0.99) * HEATS)
                out.append(Sprite(pos, size, fireballs()[level, self.kind[k]], strength, 0.9, None, k + 0.3 * age))
            tone = ambient * 0.17
            dark = strength * 0.8 * smoothstep((0.45 - heat) / 0.5)
            if dark > 0.01:
                out.append(Sprite(pos, size * 1.1, puffs()[self.kind[k]], dark, 1.0, tone, k + 0.3 * age))
        for k in np.flatnonzero(age < self.spark_life):
            pos = self.spot + self.sparks[k] * age + [0, 0, -4.9 * age**2]
            if pos[2] > 0:
                out.append(Sprite(pos, 0.25, glow(), 1.2, 0, np.array([1.0, 0.65, 0.25])))
        flash = np.exp(-age / 0.16)
        out.append(Sprite(self.spot + [0, 0, 0.6], 11 * self.size, glow(), 1.3 * flash, 0, np.array([1.0, 0.92, 0.75])))
        return out

    def lights(self, t: float) -> list[Light]:
        """The flash and the glow of the fireball."""
        age = t - self.begin
        if age < 0 or age > 3:
            return []
        level = 7 * np.exp(-age / 0.15) + 2.6 * np.exp(-age / 0.8)
        return [Light(self.spot + [0, 0, 1.5], np.array([1.0, 0.66, 0.3]) * level, 5 * self.size**0.5)]
