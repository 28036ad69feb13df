"""The surveillance camera: where it looks from, and what its lens and sensor do to the light."""

import dataclasses

import cv2
import numpy as np

NOISE_TILE = 512


@dataclasses.dataclass(frozen=True)
class Camera:
    """A fixed perspective camera; `rot`'s columns are right, up and backward, `fov` is vertical, radians."""

    pos: np.ndarray
    rot: np.ndarray
    fov: float
    height: int = 240
    width: int = 320

    @classmethod
    def aimed(cls, pos: np.ndarray, target: np.ndarray, fov: float, roll: float = 0.0) -> "Camera":
        """Camera at `pos` that looks at `target` (metres), rolled by `roll` radians."""
        back = (pos - target) / np.linalg.norm(pos - target)
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        right, up = np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right
        return cls(np.asarray(pos, float), np.stack([right, up, back], 1), fov)

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.height / 2 / np.tan(self.fov / 2)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image positions (..., 2) in pixels (x right, y down) and depths (...) of points (..., 3)."""
        local = (np.asarray(points) - self.pos) @ self.rot
        depth = -local[..., 2]
        safe = np.maximum(depth, 0.05)
        x = self.width / 2 + self.focal * local[..., 0] / safe
        y = self.height / 2 - self.focal * local[..., 1] / safe
        return np.stack([x, y], -1), depth

    def rays(self) -> np.ndarray:
        """World displacement (H, W, 3) of each pixel per metre of depth, float32."""
        x = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        y = -(np.arange(self.height) + 0.5 - self.height / 2) / self.focal
        local = np.stack([*np.meshgrid(x, y), -np.ones((self.height, self.width))], -1)
        return (local @ self.rot.T).astype(np.float32)


class Sensor:
    """Lens shading, blur, colour cast, gain drift, noise and the burnt-in clock of one camera."""

    def __init__(self, rng: np.random.Generator, camera: Camera, darkness: float) -> None:
        """`darkness` runs from 0 (day) to 1 (night) and raises the gain and with it the noise."""
        self.noise_level = rng.uniform(1.5, 4.0) + darkness * rng.uniform(1.5, 5.0)
        self.chroma = rng.uniform(0.3, 0.8)
        self.blur = rng.uniform(0.25, 0.65) + 0.15 * darkness
        self.grey = rng.random() < 0.08 + 0.22 * darkness
        self.saturation = 0.0 if self.grey else rng.uniform(0.65, 1.1)
        cast = rng.uniform(-0.05, 0.05, 3)
        self.tint = np.array(1 + cast - cast.mean(), np.float32)
        self.exposure = 1.0
        self.contrast = rng.uniform(0.9, 1.1)
        self.lift = rng.uniform(0, 14)
        self.drift = rng.uniform(0.01, 0.05), rng.uniform(0.03, 0.12), rng.uniform(0, 6.28)
        y, x = np.mgrid[-1 : 1 : camera.height * 1j, -1 : 1 : camera.width * 1j]
        shade = 1 - rng.uniform(0.08, 0.3) * (0.55 * x**2 + 0.45 * y**2)
        self.gain = (shade[..., None] * self.tint).astype(np.float32)
        grain = rng.standard_normal((NOISE_TILE, NOISE_TILE, 1)) + self.chroma * rng.standard_normal(
            (NOISE_TILE, NOISE_TILE, 3)
        )
        self.grain = (self.noise_level * cv2.GaussianBlur(grain, (0, 0), 0.55) / 0.55).astype(np.float32)
        if self.grey:
            self.grain = np.repeat(self.grain.mean(2, keepdims=True), 3, 2)
        self.clock = rng.random() < 0.45
        self.clock_at = (rng.integers(4, 20), rng.choice([14, camera.height - 8]))
        self.start = rng.integers(0, 86400)
        number, day, month, year = (
            rng.integers(1, 32),
            rng.integers(1, 29),
            rng.integers(1, 13),
            rng.integers(12, 26),
        )
        self.name = f"CAM{number:02d}  {day:02d}/{month:02d}/20{year}"

    def develop(self, light: np.ndarray, frame: int, seconds: float, grain_seed: int) -> np.ndarray:
        """Turn linear-ish `light` (H, W, 3) float32 in [0, 255] into the camera's picture, uint8."""
        depth, rate, phase = self.drift
        gain = self.exposure * (1 + depth * np.sin(2 * np.pi * rate * seconds + phase))
        picture = cv2.GaussianBlur(light, (0, 0), self.blur) * (self.gain * np.float32(gain))
        if self.saturation != 1:
            grey = picture @ np.array([[0.3], [0.59], [0.11]], np.float32)
            picture = grey + np.float32(self.saturation) * (picture - grey)
        picture = (picture - 110) * np.float32(self.contrast) + np.float32(110 + self.lift)
        height, width, _ = picture.shape
        rng = np.random.default_rng((grain_seed, frame))
        top, left = rng.integers(NOISE_TILE - height), rng.integers(NOISE_TILE - width)
        picture += self.grain[top : top + height, left : left + width][:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        picture = np.clip(picture, 0, 255).astype(np.uint8)
        if self.clock:
            now = int(self.start + seconds)
            text = f"{self.name} {now // 3600 % 24:02d}:{now // 60 % 60:02d}:{now % 60:02d}"
            x, y = (int(v) for v in self.clock_at)
            for offset, tone in ((1, 20), (0, 235)):
                at = (x + offset, y + offset)
                cv2.putText(picture, text, at, cv2.FONT_HERSHEY_PLAIN, 0.75, (tone,) * 3, 1, cv2.LINE_AA)
        return picture


def degrade(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Imitate a compressed video's artefacts on one RGB uint8 frame (H, W, 3)."""
    quality = int(rng.integers(30, 85))
    _, coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])
