"""What cameras and recorders do to pictures: the same to all frames of a video."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
"""(n, H, W, 3) RGB."""
Generator = np.random.Generator

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX)


def as_by_a_camera(frames: Frames, rng: Generator) -> Frames:
    """The frames of one video as another camera might have recorded them."""
    for change, probability in CHANGES:
        if rng.random() < probability:
            frames = change(frames, rng)
    return frames


def mirrored(frames: Frames, _rng: Generator) -> Frames:
    """Left and right exchanged."""
    return np.ascontiguousarray(frames[:, :, ::-1])


def _zoomed(frames: Frames, rng: Generator) -> Frames:
    """Cut to a part of at least three quarters of each side."""
    _, height, width, _ = frames.shape
    side = rng.uniform(0.75, 1)
    rows, columns = round(side * height), round(side * width)
    top, left = (round(rng.random() * (whole - part)) for whole, part in ((height, rows), (width, columns)))
    return _each(frames, lambda f: _resized(f[top : top + rows, left : left + columns], height, width))


def _letterboxed(frames: Frames, rng: Generator) -> Frames:
    """Shrunk between two black bars, above and below or, less often, at the sides."""
    _, height, width, _ = frames.shape
    share = rng.uniform(0.65, 0.95)
    rows, columns = (height, round(share * width)) if rng.random() < 0.3 else (round(share * height), width)
    top, left = (height - rows) // 2, (width - columns) // 2
    changed = np.zeros_like(frames)
    changed[:, top : top + rows, left : left + columns] = _each(frames, lambda f: _resized(f, rows, columns))
    return changed


def _stamped(frames: Frames, rng: Generator) -> Frames:
    """With the time or a name written at an edge, on a box of black or grey or on the picture itself."""
    _, height, width, _ = frames.shape
    changed = frames.copy()
    for _ in range(rng.integers(1, 3)):
        rows, columns = round(rng.uniform(0.05, 0.13) * height), round(rng.uniform(0.2, 0.7) * width)
        margin = round(rng.uniform(0, 0.04) * height)
        top = margin if rng.random() < 0.5 else height - rows - margin
        left = int(rng.choice([margin, width - columns - margin, (width - columns) // 2]))
        if rng.random() < 0.7:
            changed[:, top : top + rows, left : left + columns] = rng.choice([0, 0, 0, 40, 128])
        if rng.random() < 0.8:
            letters = round(columns / (0.6 * rows))
            text = "".join(rng.choice(list("0123456789:-/ "), letters))
            font, ink = int(rng.choice(FONTS)), int(rng.choice([255, 230, 180]))
            size = 0.7 * rows / cv2.getTextSize(text, font, 1, 1)[0][1]
            for frame in changed:
                cv2.putText(frame, text, (left + 1, top + round(0.85 * rows)), font, size, (ink,) * 3, 1, cv2.LINE_AA)
    return changed


def _exposed(frames: Frames, rng: Generator) -> Frames:
    """With another brightness, contrast and balance of colours."""
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)
    return _whole(frames * gain + rng.uniform(-20, 20))


def _grey(frames: Frames, _rng: Generator) -> Frames:
    """Without colours, as cameras record at night."""
    return np.repeat(_whole(frames.mean(axis=3, keepdims=True)), 3, axis=3)


def _noisy(frames: Frames, rng: Generator) -> Frames:
    """With the noise of a sensor in the dark."""
    noise = rng.standard_normal(frames.shape, dtype=np.float32) * rng.uniform(3, 12)
    return _whole(frames + noise)


def _blurred(frames: Frames, rng: Generator) -> Frames:
    """Out of focus, or enlarged from a smaller picture."""
    sigma = rng.uniform(0.5, 1.6)
    return _each(frames, lambda f: cv2.GaussianBlur(f, (0, 0), sigma))


def _compressed(frames: Frames, rng: Generator) -> Frames:
    """With the blocks that strong compression leaves."""
    options = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 40))]
    return _each(frames, lambda f: cv2.imdecode(cv2.imencode(".jpg", f, options)[1], cv2.IMREAD_COLOR))


CHANGES: tuple[tuple[Callable[[Frames, Generator], Frames], float], ...] = (
    (mirrored, 0.5),
    (_zoomed, 0.3),
    (_exposed, 0.4),
    (_grey, 0.15),
    (_noisy, 0.15),
    (_blurred, 0.25),
    (_letterboxed, 0.35),
    (_stamped, 0.4),
    (_compressed, 0.4),
)
"""In the order in which they happen to a picture, each with its probability."""


def _each(frames: Frames, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Frames:
    return np.stack([change(np.ascontiguousarray(frame)) for frame in frames])


def _resized(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _whole(values: NDArray[np.floating]) -> Frames:
    return values.round().clip(0, 255).astype(np.uint8)
