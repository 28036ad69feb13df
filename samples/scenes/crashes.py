"""Road accidents: vehicles on their way to a collision, the impact and the wrecks."""

import numpy as np

from .effects import Smoke
from .fires import scatter_debris
from .motion import FPS, Driver, Path, Person
from .poses import pointing
from .story import Cast, Event
from .vehicles import Vehicle


def accident(cast: Cast, begin: float, end: float) -> np.ndarray:
    """Let vehicles collide at `begin`; the wrecks stay until the end of the video. Returns where."""
    rng = cast.rng
    road, other, point = cast.choose(cast.place.crash, [where for _, _, where in cast.place.crash])
    point = np.array(point, float)
    speed = rng.uniform(7, 11) if len(cast.place.roads) > 2 or other is not None else rng.uniform(5.5, 8)
    car = cast.vehicle(crash=True)
    lane = Path(cast.place.roads[road], 3)
    along = lane.heading(np.array(lane.near(tuple(point))), 1.0)
    way = np.array([np.cos(along), np.sin(along)])
    if other is None:
        _hit_fixed(cast, car, lane, point, speed, begin)
    else:
        _hit_vehicle(cast, car, lane, Path(cast.place.roads[other], 3), point, way, speed, begin)
    scatter_debris(cast, np.array([*point, 0.5]), begin, 14, 3.6, False)
    nose = cast.drivers[-1 if other is None else -2].track
    rest = nose[-1, :3] + 1.5 * np.array([np.cos(nose[-1, 3]), np.sin(nose[-1, 3]), 0]) + [0, 0, 0.8]
    tone = rng.uniform(0.3, 0.85)
    steam = rest + rng.normal(0, 0.25, (4, 3)) * [1, 1, 0.2]
    cast.effects.append(Smoke(rng, steam, begin + 0.1, end + 9, 0.65, tone, 6, 3.5, 0.6))
    dust = np.array([*point, 0.4]) + rng.normal(0, 0.5, (6, 3)) * [1, 1, 0.3]
    cast.effects.append(Smoke(rng, dust, begin - 0.3, begin + 0.7, 0.9, 0.7, 16, 1.8, 0.6))
    cast.events.append(Event("roadaccidents", int(begin * FPS), int(end * FPS)))
    _bystanders(cast, point, begin, int(rng.integers(1, 4)))
    return point


def _approach(driver: Driver, path: Path, s_hit: float, speed: float, begin: float) -> None:
    """Drive along `path` to reach arc length `s_hit` at `begin` seconds, braking at the last moment."""
    speeds = np.full(int((s_hit + 30) / speed * FPS), speed)
    tail = min(10, len(speeds))
    speeds[-tail:] *= np.linspace(1, 0.8, tail)
    driver.cursor = int(begin * FPS) - len(speeds)
    driver.drive(path, speeds, s_hit - speeds.sum() / FPS)


def _aftermath(driver: Driver, frames: int, velocity: np.ndarray, spin: float, hop: float, grip: float = 2.4) -> None:
    """Slide and spin to rest from the last recorded state: exponentially decaying motion."""
    last = driver.track[min(driver.cursor, frames) - 1]
    t = np.arange(1, max(frames - driver.cursor, 1) + 1) / FPS
    slid = (1 - np.exp(-grip * t)) / grip
    rows = np.repeat(last[None], len(t), 0)
    rows[:, :2] += velocity * slid[:, None]
    rows[:, 3] += spin * slid
    rows[:, 4] = -hop * np.exp(-3 * t) * np.sin(9 * t) - 0.03
    rows[:, 5] = hop * np.exp(-3.5 * t) * np.sin(11 * t)
    rows[:, 2] = 0.5 * hop * np.exp(-4 * t) * np.abs(np.sin(9 * t))
    driver.wrecked_from = driver.cursor
    driver.follow(rows, False)


def _hit_fixed(cast: Cast, car: Vehicle, lane: Path, point: np.ndarray, speed: float, begin: float) -> None:
    """Swerve out of the lane into something that does not move."""
    rng = cast.rng
    s = lane.near(tuple(point))
    ahead = lane.at(np.array(s)) - lane.at(np.array(s - 1))
    beyond = point + (point - lane.at(np.array(s - 5))) / 5
    path = Path([*lane.at(np.array([0, s - 16, s - 9])), point - 1.5 * ahead, beyond], 3)
    driver = Driver(car, cast.frames, 0)
    _approach(driver, path, path.near(tuple(point)) - car.length / 2 + 0.35, speed, begin)
    heading = driver.track[min(driver.cursor, cast.frames) - 1, 3]
    way = np.array([np.cos(heading), np.sin(heading)])
    driver.hood = rng.uniform(0.5, 0.95)
    spin = rng.choice([-1, 1]) * rng.uniform(0.5, 1.4)
    _aftermath(driver, cast.frames, -0.12 * speed * way, spin, 0.14, 3.0)
    cast.drivers.append(driver)


def _hit_vehicle(
    cast: Cast,
    car: Vehicle,
    lane: Path,
    other_lane: Path,
    point: np.ndarray,
    way: np.ndarray,
    speed: float,
    begin: float,
) -> None:
    """Two moving vehicles meet at `point`, crosswise or head-on after one swerves."""
    rng = cast.rng
    second = cast.vehicle(crash=True)
    s_other = other_lane.near(tuple(point))
    heading = other_lane.heading(np.array(s_other), 1.0)
    cross = np.array([np.cos(heading), np.sin(heading)])
    head_on = way @ cross < -0.5
    if head_on:
        s = lane.near(tuple(point))
        lane = Path([*lane.at(np.array([0, s - 18, s - 9])), point - 1.0 * way, point + 8 * way], 3)
        s_hit = lane.near(tuple(point)) - car.length / 2 + 0.3
        s_other_hit = s_other - second.length / 2 + 0.3
    else:
        s_hit = lane.near(tuple(point)) - car.length / 2 - second.width / 2 + 0.35
        s_other_hit = s_other + rng.uniform(-0.6, 0.9)
    speed_other = speed * rng.uniform(0.75, 1.1)
    first, other = Driver(car, cast.frames, 0), Driver(second, cast.frames, 0)
    _approach(first, lane, s_hit, speed, begin)
    _approach(other, other_lane, s_other_hit, speed_other, begin)
    shared = 0.42 * (way * speed + cross * speed_other)
    spin = rng.choice([-1, 1]) * rng.uniform(1.2, 3.0)
    if head_on:
        _aftermath(first, cast.frames, shared * 0.5 - way * 1.2, spin, 0.2)
        _aftermath(other, cast.frames, shared * 0.5 - cross * 1.6, -spin * 0.8, 0.2)
    else:
        _aftermath(first, cast.frames, 0.55 * shared - 0.5 * way, spin * 0.6, 0.16)
        _aftermath(other, cast.frames, shared + way * speed * 0.28, spin, 0.22)
    first.hood, other.hood = rng.uniform(0.5, 1.0), rng.uniform(0.3, 0.8)
    cast.drivers += [first, other]


def _bystanders(cast: Cast, point: np.ndarray, begin: float, count: int) -> None:
    """Bring people who run up from the nearest walks and stand pointing at the wreck."""
    rng = cast.rng
    for _ in range(count):
        body = cast.body()
        for _ in range(8):
            route = Path(cast.place.walks[rng.integers(len(cast.place.walks))])
            s = route.near(tuple(point)) + rng.choice([-1, 1]) * rng.uniform(8, 13)
            start = route.at(np.array(s))
            gap = point - start
            stop = point - gap / np.linalg.norm(gap) * rng.uniform(3.2, 4.6)
            first = int((begin + rng.uniform(-3.0, 0.5)) * FPS)
            person = cast.enter(Person(body, cast.frames, first), tuple(start))
            person.walk([start, (start + stop) / 2 + rng.normal(0, 0.6, 2), stop], rng.uniform(2.4, 3.4), 0.7)
            seed = rng.uniform(0, 6)
            person.stay(120, lambda t, seed=seed: pointing(t, seed), np.arctan2(gap[1], gap[0]))
            person.role = "watching"
            if cast.person_fits(person.track):
                cast.people.append(person)
                break
