"""Soft pictures of flames, smoke and glows, and how they are blended into a rendered frame."""

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
BIG = 48  # pixels
FLAME_LIGHT, FIREBALL_LIGHT = 1.55, 1.25  # brighter than white paint, so that the sensor saturates


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
    layer: int = 0  # higher layers are painted over lower ones whatever the depth


def heat_colour(heat: np.ndarray) -> np.ndarray:
    """Black-body-like ramp: (...,) in [0, 1] to RGB (..., 3) in [0, 255]."""
    stops = [0, 0.2, 0.45, 0.7, 1.0]
    table = [(0, 0, 0), (120, 18, 4), (240, 92, 12), (255, 190, 60), (255, 250, 215)]
    return np.stack([np.interp(heat, stops, [row[k] for row in table]) for k in range(3)], -1).astype(np.float32)


@functools.cache
def flames() -> np.ndarray:
    """Looping flame animation (FLAME_FRAMES, 96, 64, 4): RGB light and opacity, premultiplied."""
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
        heat *= np.clip((height - 0.14 * side**2) * 9, 0, 1) * np.clip((1 - np.abs(side)) * 5, 0, 1)
        alpha = smoothstep(heat * 2.6)
        frames.append(np.dstack([FLAME_LIGHT * heat_colour(heat), alpha]))
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
        tone = (grey[..., 0] / np.maximum(alpha, 1e-3) / 150) ** 0.7
        colour = heat_colour(np.clip(heat * tone * (0.55 + 0.45 * alpha), 0, 1))
        levels.append(np.concatenate([FIREBALL_LIGHT * colour * alpha[..., None], alpha[..., None]], -1))
    return np.stack(levels).astype(np.float32)


@functools.cache
def glow() -> np.ndarray:
    """Round soft glow (64, 64, 4)."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    value = np.clip(1 - np.hypot(x, y), 0, 1) ** 2.5
    return np.dstack([value * 255, value * 255, value * 255, value]).astype(np.float32)


def paint_sprites(picture: np.ndarray, depth: np.ndarray, camera: Camera, sprites: list[Sprite]) -> None:
    """Blend sprites into `picture` (H, W, 3) float32 in place, far ones first, behind nearer surfaces.

    Big ones have no fine detail: they are gathered at half resolution, which takes a quarter of the time.
    """
    if not sprites:
        return
    places, depths = camera.project(np.stack([sprite.pos for sprite in sprites]))
    tall = np.array([sprite.size for sprite in sprites]) * camera.focal / np.maximum(depths, 0.6)
    sequence = np.lexsort((-depths, [sprite.layer for sprite in sprites]))
    order = [k for k in sequence if depths[k] > 0.6 and tall[k] > 2 and sprites[k].strength > 0.01]
    big = [k for k in order if tall[k] > BIG]
    if big:
        height, width, _ = picture.shape
        light = np.zeros((height // 2, width // 2, 3), np.float32)
        clear = np.ones((height // 2, width // 2, 1), np.float32)
        for k in big:
            _paint(light, depth[::2, ::2], sprites[k], places[k] / 2, depths[k], min(tall[k], 500) / 2, clear)
        picture *= cv2.resize(clear, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        picture += cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)
    for k in order:
        if tall[k] <= BIG:
            _paint(picture, depth, sprites[k], places[k], depths[k], tall[k])


def _paint(
    picture: np.ndarray,
    depth: np.ndarray,
    sprite: Sprite,
    at: np.ndarray,
    away: float,
    tall: float,
    clear: np.ndarray | None = None,
) -> None:
    """Blend one sprite `tall` pixels high centred at `at`; `clear` (H, W, 1) gathers what it lets through."""
    rows, columns = sprite.image.shape[:2]
    wide = tall * columns / rows
    reach = 0.5 * (np.hypot(tall, wide) if sprite.angle else max(tall, wide))
    left, top = max(int(at[0] - reach), 0), max(int(at[1] - reach), 0)
    right, bottom = (
        min(int(at[0] + reach) + 2, picture.shape[1]),
        min(int(at[1] + reach) + 2, picture.shape[0]),
    )
    if left >= right or top >= bottom:
        return
    scale, cos, sin = tall / rows, np.cos(sprite.angle), np.sin(sprite.angle)
    turn = scale * np.array([[cos, sin], [-sin, cos]])
    shift = at - [left, top] - turn @ [columns / 2, rows / 2]
    image = cv2.warpAffine(sprite.image, np.column_stack([turn, shift]), (right - left, bottom - top))
    soft = 0.35 * sprite.size
    seen = np.clip(
        (depth[top:bottom, left:right] - (away - soft)) * np.float32(sprite.strength / soft),
        0,
        sprite.strength,
    )
    image *= seen[..., None]
    light = image[..., :3]
    if sprite.tint is not None:
        light = light * sprite.tint.astype(np.float32)
    region = picture[top:bottom, left:right]
    if sprite.cover:
        through = 1 - image[..., 3:] * np.float32(sprite.cover)
        region *= through
        if clear is not None:
            clear[top:bottom, left:right] *= through
    region += light
