"""Procedural surfaces: RGB uint8 images drawn with noise, as seen in daylight."""

import cv2
import numpy as np

TILE = 512
Colour = tuple[float, float, float]


def noise(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Seamless noise (size, size) float32 with mean 0 and deviation 1, features of `scale` pixels."""
    white = rng.standard_normal((size, size)).astype(np.float32)
    small = max(int(size / max(scale / 2, 1)), 4)
    coarse = cv2.GaussianBlur(np.pad(white[:small, :small], 4, mode="wrap"), (0, 0), 1.0)
    fine = cv2.resize(coarse, None, fx=size / small, fy=size / small, interpolation=cv2.INTER_CUBIC)
    edge = int(4 * size / small)
    fine = fine[edge : edge + size, edge : edge + size]
    return (fine - fine.mean()) / (fine.std() + 1e-6)


def _finish(base: Colour, shade: np.ndarray) -> np.ndarray:
    return np.clip(np.asarray(base, np.float32) * shade[..., None], 0, 215).astype(np.uint8)


def asphalt(rng: np.random.Generator) -> np.ndarray:
    """Worn tarmac (TILE, TILE, 3)."""
    tone = rng.uniform(80, 125)
    shade = 1 + 0.07 * noise(rng, TILE, 2) + 0.06 * noise(rng, TILE, 40) + 0.04 * noise(rng, TILE, 140)
    image = _finish((tone, tone * rng.uniform(0.97, 1.01), tone * rng.uniform(0.95, 1.05)), shade)
    for _ in range(rng.integers(2, 6)):  # cracks
        walk = np.cumsum(rng.normal(0, 6, (40, 2)) + rng.normal(0, 5, 2), 0) + rng.uniform(0, TILE, 2)
        cv2.polylines(image, [walk.astype(np.int32)], False, (tone * 0.6,) * 3, 1, cv2.LINE_AA)
    return image


def paving(rng: np.random.Generator, slab: int | None = None) -> np.ndarray:
    """Paving slabs of `slab` pixels (TILE, TILE, 3)."""
    slab = slab or int(rng.choice([16, 32]))
    count = TILE // slab
    base = rng.uniform(130, 175)
    colour = (base * rng.uniform(0.98, 1.08), base, base * rng.uniform(0.82, 1.0))
    slabs = rng.normal(1, 0.05, (count, count)).astype(np.float32)
    shade = cv2.resize(slabs, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    shade *= 1 + 0.05 * noise(rng, TILE, 2) + 0.05 * noise(rng, TILE, 120)
    joint = np.arange(TILE) % slab < max(slab // 16, 1)
    shade[joint] *= 0.78
    shade[:, joint] *= 0.78
    return _finish(colour, shade)


def grass(rng: np.random.Generator) -> np.ndarray:
    """Mown grass (TILE, TILE, 3)."""
    shade = 1 + 0.16 * noise(rng, TILE, 2) + 0.10 * noise(rng, TILE, 12) + 0.10 * noise(rng, TILE, 90)
    return _finish((rng.uniform(70, 105), rng.uniform(95, 125), rng.uniform(45, 65)), shade)


def concrete(rng: np.random.Generator) -> np.ndarray:
    """Stained concrete with expansion joints (TILE, TILE, 3)."""
    tone = rng.uniform(135, 170)
    shade = 1 + 0.05 * noise(rng, TILE, 2) + 0.06 * noise(rng, TILE, 60) + 0.05 * noise(rng, TILE, 12)
    joint = np.arange(TILE) % 128 < 2
    shade[joint] *= 0.75
    shade[:, joint] *= 0.75
    return _finish((tone, tone * 0.985, tone * 0.95), shade)


def brick(rng: np.random.Generator, height: int = 256, width: int = 512) -> np.ndarray:
    """Brick wall (height, width, 3)."""
    warm = rng.random() < 0.7
    base = (rng.uniform(110, 140), rng.uniform(80, 98), rng.uniform(68, 85)) if warm else (120, 115, 108)
    rows, columns = height // 8, width // 16
    tones = rng.normal(1, 0.1, (rows, columns)).astype(np.float32)
    shade = cv2.resize(tones, (width, height), interpolation=cv2.INTER_NEAREST)
    y, x = np.mgrid[:height, :width]
    mortar = (y % 8 == 0) | ((x + (y // 8 % 2) * 8) % 16 == 0)
    shade[mortar] *= 1.25
    stain = cv2.resize(noise(rng, 256, 60), (width, height))
    return _finish(base, shade * (1 + 0.08 * stain))


def plaster(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Painted render with streaks (height, width, 3)."""
    palette = [
        (190, 180, 160),
        (170, 165, 160),
        (185, 160, 130),
        (150, 155, 165),
        (195, 190, 180),
        (160, 130, 110),
    ]
    base = np.array(palette[rng.integers(len(palette))]) * rng.uniform(0.8, 1.0)
    streak = cv2.resize(noise(rng, 128, 8)[:4], (width, height), interpolation=cv2.INTER_CUBIC)
    stain = cv2.resize(noise(rng, 256, 50), (width, height))
    return _finish(base, 1 + 0.04 * stain + 0.03 * streak)


def _pane(image: np.ndarray, x0: int, y0: int, x1: int, y1: int, colour: np.ndarray, lit: bool) -> None:
    """Draw one framed window in place; lit panes reach 255, which the night pass leaves bright."""
    cv2.rectangle(image, (x0 - 2, y0 - 2), (x1 + 2, y1 + 2), (185, 182, 176), -1)
    ramp = np.linspace(1.15, 0.8, max(y1 - y0, 1))[:, None, None]
    image[y0:y1, x0:x1] = np.clip(colour * ramp, 0, 255 if lit else 190)
    cv2.line(image, ((x0 + x1) // 2, y0), ((x0 + x1) // 2, y1), (120, 118, 112), 1)
    cv2.line(image, (x0 - 3, y1 + 2), (x1 + 3, y1 + 2), (110, 106, 100), 2)


def facade(rng: np.random.Generator, floors: int, bays: int, darkness: float) -> np.ndarray:
    """House front with `floors` x `bays` windows; some are lit after dark. (64 * floors, 64 * bays, 3)."""
    height, width = 64 * floors, 64 * bays
    image = brick(rng, height, width) if rng.random() < 0.45 else plaster(rng, height, width)
    tall, wide = int(rng.integers(30, 44)), int(rng.integers(22, 40))
    for row in range(floors):
        for column in range(bays):
            x, y = column * 64 + 32 - wide // 2, row * 64 + 12
            lit = rng.random() < 0.3 * darkness
            glass = np.array([255, 225, 160]) if lit else np.array([62, 74, 86]) * rng.uniform(0.6, 1.3)
            _pane(image, x, y, x + wide, y + tall, glass * (rng.uniform(0.8, 1.1) if lit else 1), lit)
        cv2.line(image, (0, row * 64 + 62), (width, row * 64 + 62), tuple(image[2, 2] * 0.8), 2)
    return image


def shopfront(rng: np.random.Generator, units: int, darkness: float) -> np.ndarray:
    """Parade of `units` shops with sign boards, display windows and doors. (128, 192 * units, 3)."""
    image = plaster(rng, 128, 192 * units)
    for unit in range(units):
        left = unit * 192
        sign = rng.integers(30, 200, 3)
        cv2.rectangle(image, (left + 4, 6), (left + 188, 36), sign.tolist(), -1)
        for letter in range(int(rng.integers(4, 9))):
            x = left + 24 + letter * 18
            cv2.rectangle(image, (x, 13), (x + 11, 29), (210, 205, 190), 2 if rng.random() < 0.6 else -1)
            cv2.line(image, (x, 21), (x + 10, 21), sign.tolist(), 2)
        lit = rng.random() < 0.55 * darkness
        inside = np.array([255, 232, 180]) if lit else np.array([55, 64, 70]) * rng.uniform(0.7, 1.4)
        for x0, x1 in ((10, 68), (76, 128)):
            _pane(image, left + x0, 46, left + x1, 112, inside, lit)
            for _ in range(6):
                gx, gy = left + x0 + int(rng.integers(4, x1 - x0 - 12)), int(rng.integers(76, 100))
                cv2.rectangle(image, (gx, gy), (gx + 8, 110), (rng.integers(40, 170, 3)).tolist(), -1)
        _pane(image, left + 142, 46, left + 174, 124, inside * 0.9, lit)
    return image


def shutter(rng: np.random.Generator) -> np.ndarray:
    """Corrugated metal door, sometimes with graffiti (128, 128, 3)."""
    tone = rng.uniform(90, 160)
    shade = np.tile((1 + 0.16 * np.sin(np.arange(128) * 2 * np.pi / 8))[:, None], (1, 128)).astype(np.float32)
    image = _finish((tone, tone, tone * 1.03), shade)
    for _ in range(int(rng.integers(0, 5))):
        curve = np.cumsum(rng.normal(0, 9, (14, 2)), 0) + rng.uniform(30, 100, 2)
        cv2.polylines(image, [curve.astype(np.int32)], False, rng.integers(40, 210, 3).tolist(), 3, cv2.LINE_AA)
    return image


def leaves(rng: np.random.Generator) -> np.ndarray:
    """Foliage (128, 128, 3)."""
    shade = 1 + 0.3 * noise(rng, 128, 3) + 0.25 * noise(rng, 128, 10)
    return _finish((rng.uniform(55, 95), rng.uniform(80, 110), rng.uniform(35, 55)), np.clip(shade, 0.3, 1.9))


def car_paint() -> np.ndarray:
    """Side view of a car's panels in greys to be tinted: seams, arches, handles, sills. (64, 256, 3)."""
    image = np.full((64, 256, 3), 205, np.uint8)
    image[:] = np.clip(np.linspace(214, 160, 64), 0, 214)[:, None, None]
    image[54:] = 70
    for x in (84, 132, 176):
        cv2.line(image, (x, 2), (x, 52), (110, 110, 110), 1)
    for x in (92, 140):
        cv2.rectangle(image, (x, 14), (x + 8, 16), (90, 90, 90), -1)
    cv2.line(image, (10, 24), (246, 22), (175, 175, 175), 1)
    for x in (46, 208):
        cv2.ellipse(image, (x, 64), (24, 38), 0, 180, 360, (28, 28, 28), -1)
    return image


def car_glass() -> np.ndarray:
    """Cabin to be tinted (128, 128, 3): side windows between pillars, plain glass, painted roof."""
    image = np.full((128, 128, 3), 205, np.uint8)
    image[64:112] = np.linspace(70, 36, 48)[:, None, None]
    for x0, x1 in ((16, 44), (49, 82), (87, 116)):
        image[10:60, x0:x1] = np.linspace(74, 34, 50)[:, None, None]
    return image


class Ground:
    """The painted floor of a place: a square of `2 * reach` metres around the origin seen from above."""

    def __init__(self, rng: np.random.Generator, reach: float, base: np.ndarray, pixels: int = 1536) -> None:
        self.rng, self.reach, self.pixels = rng, reach, pixels
        self.per_metre = pixels / (2 * reach)
        self.image = self._tiled(base)

    def _tiled(self, tile: np.ndarray) -> np.ndarray:
        repeats = -(-self.pixels // tile.shape[0])
        return np.tile(tile, (repeats, repeats, 1))[: self.pixels, : self.pixels].copy()

    def px(self, points: np.ndarray) -> np.ndarray:
        """Metres (K, 2) to pixels (K, 2) with 4 fractional bits, int32; y points up the image."""
        points = np.asarray(points, float)
        flipped = np.stack([points[:, 0] + self.reach, self.reach - points[:, 1]], 1)
        return np.round(flipped * self.per_metre * 16).astype(np.int32)

    def fill(self, corners: list, tile: np.ndarray) -> None:
        """Cover a polygon of (x, y) corners with a surface."""
        mask = np.zeros((self.pixels, self.pixels), np.uint8)
        cv2.fillPoly(mask, [self.px(corners)], 255, shift=4)
        cv2.copyTo(self._tiled(tile), mask, self.image)

    def rect(self, x0: float, y0: float, x1: float, y1: float, tile: np.ndarray) -> None:
        """Cover a rectangle with a surface."""
        self.fill([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], tile)

    def line(self, start: tuple, end: tuple, width: float = 0.12, colour: Colour = (205, 205, 198)) -> None:
        """Paint a worn stripe `width` metres wide."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        along = (end - start) / np.linalg.norm(end - start)
        side = np.array([-along[1], along[0]]) * width / 2
        layer = np.zeros((self.pixels, self.pixels), np.uint8)
        corners = self.px([start + side, end + side, end - side, start - side])
        cv2.fillPoly(layer, [corners], 255, cv2.LINE_AA, 4)
        x, y, w, h = cv2.boundingRect(corners // 16)
        part = np.s_[max(y - 1, 0) : y + h + 2, max(x - 1, 0) : x + w + 2]
        alpha = layer[part].astype(np.float32)[..., None] / 255
        alpha *= self.rng.uniform(0.45, 0.95, alpha.shape).astype(np.float32)
        self.image[part] = (self.image[part] * (1 - alpha) + np.asarray(colour, np.float32) * alpha).astype(np.uint8)

    def dashes(self, start: tuple, end: tuple, dash: float, gap: float, **style) -> None:
        """Paint a dashed stripe."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        length = np.linalg.norm(end - start)
        for at in np.arange(0, length - dash, dash + gap):
            self.line(start + (end - start) * at / length, start + (end - start) * (at + dash) / length, **style)

    def stains(self, x0: float, y0: float, x1: float, y1: float, count: int) -> None:
        """Drop oil and dirt spots in a rectangle."""
        for _ in range(count):
            centre = self.px([(self.rng.uniform(x0, x1), self.rng.uniform(y0, y1))])[0] // 16
            radius = int(self.rng.uniform(0.1, 0.6) * self.per_metre)
            lo = np.maximum(centre - 2 * radius, 0)
            part = self.image[lo[1] : centre[1] + 2 * radius, lo[0] : centre[0] + 2 * radius]
            y, x = np.mgrid[: part.shape[0], : part.shape[1]] + lo[[1, 0], None, None] - centre[[1, 0], None, None]
            fade = 1 - self.rng.uniform(0.1, 0.4) * np.exp(-(x**2 + 2 * y**2) / (radius**2 + 1))
            part[:] = part * fade[..., None]

    def shade(self, hulls: list[np.ndarray], depth: float, soft: float) -> None:
        """Darken the convex shadows (K, 2 metres each) by `depth` in [0, 1], blurred by `soft` metres."""
        mask = np.zeros((self.pixels, self.pixels), np.uint8)
        for hull in hulls:
            cv2.fillConvexPoly(mask, cv2.convexHull(self.px(hull)), 255, cv2.LINE_AA, 4)
        mask = cv2.GaussianBlur(mask, (0, 0), max(soft * self.per_metre, 0.5))
        keep = cv2.cvtColor(255 - (mask * depth).astype(np.uint8), cv2.COLOR_GRAY2RGB)
        self.image = cv2.multiply(self.image, keep, scale=1 / 255)
