"""Where people and vehicles are: tracks recorded at build time, one sample per video frame."""

from collections.abc import Callable

import numpy as np

from .geometry import smoothstep
from .people import Body
from .poses import gait
from .vehicles import Vehicle

FPS = 25
BLEND = 8  # frames over which one pose turns into the next
PoseAt = Callable[[float], np.ndarray]


class Path:
    """A polyline with rounded corners, parametrised by arc length in metres."""

    def __init__(self, points: list, rounding: int = 2) -> None:
        points = np.asarray(points, float)
        for _ in range(rounding if len(points) > 2 else 0):  # Chaikin's corner cutting
            cut = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], 1)
            points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        self.points, self.marks = points, np.concatenate([[0], np.cumsum(steps)])
        self.length = self.marks[-1]

    def at(self, s: np.ndarray) -> np.ndarray:
        """Positions (..., 2) at arc lengths `s`; straight extrapolation beyond both ends."""
        s = np.asarray(s, float)
        xy = np.stack([np.interp(s, self.marks, self.points[:, k]) for k in range(2)], -1)
        first, last = self.points[1] - self.points[0], self.points[-1] - self.points[-2]
        first, last = first / np.linalg.norm(first), last / np.linalg.norm(last)
        return xy + np.minimum(s, 0)[..., None] * first + np.maximum(s - self.length, 0)[..., None] * last

    def heading(self, s: np.ndarray, base: float) -> np.ndarray:
        """Headings (...) in radians of something `base` metres long centred at `s`."""
        ahead = self.at(np.asarray(s) + base / 2) - self.at(np.asarray(s) - base / 2)
        return np.arctan2(ahead[..., 1], ahead[..., 0])

    def near(self, point: tuple) -> float:
        """Arc length at which the path passes closest to `point`."""
        s = np.linspace(0, self.length, 400)
        return float(s[np.argmin(np.linalg.norm(self.at(s) - point, axis=1))])


class Person:
    """A body with a recorded life: ground track (T, 3) of x, y, heading, and who-does-what by frame."""

    def __init__(self, body: Body, frames: int, start: int) -> None:
        """`start` is the frame of the first recorded sample and may be negative (already under way)."""
        self.body, self.cursor = body, start
        self.track = np.full((frames, 3), np.nan)
        self.acts: list[tuple[int, PoseAt]] = []
        self.role = "walking"

    def _record(self, rows: np.ndarray, act: PoseAt) -> None:
        frames = len(self.track)
        first, last = max(self.cursor, 0), min(self.cursor + len(rows), frames)
        if last > first:
            self.track[first:last] = rows[first - self.cursor : last - self.cursor]
        self.acts.append((self.cursor, act))
        self.cursor += len(rows)
        self.here = rows[-1]

    def walk(self, points: list, speed: float, vigour: float = 0.0) -> "Person":
        """Follow `points` at `speed` m/s; vigour 1 runs."""
        path = Path(points)
        count = max(int(path.length / speed * FPS), 2)
        s = np.linspace(0, path.length, count)
        rows = np.column_stack([path.at(s), path.heading(s, 0.5)])
        start, stride = self.cursor, (1.25 + 0.9 * vigour) * self.body.scale * np.clip(speed / 1.3, 0.7, 1.3)
        self._record(rows, lambda t: gait((t * FPS - start) / count * path.length, stride, vigour))
        return self

    def stay(self, seconds: float, act: PoseAt, heading: float | None = None) -> "Person":
        """Stand still for `seconds` doing `act`, turning to `heading` first."""
        count = max(round(seconds * FPS), 1)
        here = self.here.copy()
        rows = np.repeat(here[None], count, 0)
        if heading is not None:
            turn = (heading - here[2] + np.pi) % (2 * np.pi) - np.pi
            rows[:, 2] = here[2] + turn * smoothstep(np.arange(count) / 12)
        self._record(rows, act)
        return self

    def follow(self, rows: np.ndarray, act: PoseAt) -> "Person":
        """Take a prepared track (n, 3)."""
        self._record(rows, act)
        return self

    def interrupt(self, frame: int) -> None:
        """Forget everything recorded from `frame` on, to go on from there with something else."""
        self.acts = [act for act in self.acts if act[0] < frame]
        self.here, self.cursor = self.track[frame].copy(), frame
        self.track[frame:] = np.nan

    def pose(self, frame: int) -> np.ndarray:
        """Pose vector (POSE,) at `frame`."""
        index = max((k for k, (start, _) in enumerate(self.acts) if start <= frame), default=0)
        start, act = self.acts[index]
        vector = act(frame / FPS)
        if index and frame - start < BLEND:
            before = self.acts[index - 1][1](frame / FPS)
            vector = before + (vector - before) * smoothstep((frame - start) / BLEND)
        return vector


class Driver:
    """A vehicle with its recorded state (T, 6): x, y, z, heading, pitch, roll; NaN while away."""

    def __init__(self, vehicle: Vehicle, frames: int, start: int) -> None:
        self.vehicle, self.cursor = vehicle, start
        self.track = np.full((frames, 6), np.nan)
        self.wrecked_from = frames
        self.hood = 0.0
        self.moving = np.zeros(frames, bool)

    def _record(self, rows: np.ndarray, moving: np.ndarray) -> "Driver":
        first, last = max(self.cursor, 0), min(self.cursor + len(rows), len(self.track))
        if last > first:
            cut = slice(first - self.cursor, last - self.cursor)
            self.track[first:last], self.moving[first:last] = rows[cut], moving[cut]
        self.cursor += len(rows)
        return self

    def drive(self, path: Path, speeds: np.ndarray, s0: float = 0.0, reverse: bool = False) -> "Driver":
        """Follow `path` from arc length `s0` with `speeds` (n,) in m/s per frame."""
        s = s0 + np.cumsum(speeds) / FPS
        rows = np.zeros((len(speeds), 6))
        rows[:, :2], rows[:, 3] = path.at(s), path.heading(s, 2.6)
        if reverse:
            rows[:, 3] += np.pi
        rows[1:, 4] = np.clip(np.diff(speeds) * FPS * 0.006, -0.03, 0.03)  # squat and dive
        return self._record(rows, speeds > 0.1)

    def wait(self, seconds: float) -> "Driver":
        """Stand where it is."""
        last = self.track[min(self.cursor, len(self.track)) - 1] if self.cursor > 0 else None
        count = int(seconds * FPS)
        rows = np.repeat(last[None], count, 0)
        return self._record(rows, np.zeros(count, bool))

    def follow(self, rows: np.ndarray, moving: bool) -> "Driver":
        """Take prepared states (n, 6)."""
        return self._record(rows, np.full(len(rows), moving))


def cruise(path: Path, speed: float) -> np.ndarray:
    """Constant speed along the whole path."""
    return np.full(int(path.length / speed * FPS), speed)


def stop_and_go(path: Path, speed: float, stop_at: float, wait: float) -> np.ndarray:
    """Speeds (n,) that brake to a halt at arc length `stop_at`, wait, and go on to the path's end."""
    decel, accel = 2.2, 1.6
    brake = speed**2 / (2 * decel)
    before = np.full(max(int((stop_at - brake) / speed * FPS), 0), speed)
    slow = np.linspace(speed, 0, max(int(speed / decel * FPS), 2))
    go = np.linspace(0, speed, max(int(speed / accel * FPS), 2))
    covered = stop_at + go.sum() / FPS
    after = np.full(max(int((path.length - covered) / speed * FPS), 0), speed)
    return np.concatenate([before, slow, np.zeros(int(wait * FPS)), go, after])
