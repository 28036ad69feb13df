"""Who is where and when: ordinary street life, cast so that nobody walks through anybody else."""

import dataclasses
from typing import Any

import numpy as np

from .motion import FPS, Driver, Path, Person, cruise, stop_and_go
from .people import Body
from .place import Place
from .poses import chatting, pointing, shaking_hands, sitting, standing
from .stage import Stage
from .vehicles import Vehicle

SHORTEST = 6.0  # seconds of video for each event, with some normal time around it
KINDS = ["sedan", "hatchback", "suv", "van"]


@dataclasses.dataclass(frozen=True)
class Event:
    """An anomaly: its class and the half-open frame interval [start, end)."""

    class_name: str
    start_frame: int
    end_frame: int


class Cast:
    """Everybody and everything that moves in one scene, with the checks that keep them apart."""

    def __init__(self, stage: Stage, place: Place, rng: np.random.Generator, frames: int) -> None:
        self.stage, self.place, self.rng, self.frames = stage, place, rng, frames
        self.people: list[Person] = []
        self.drivers: list[Driver] = []
        self.effects: list = []
        self.debris: list[tuple[int, np.ndarray]] = []  # stage frame and (T, 6) x, y, z, and three angles
        self.events: list[Event] = []
        self.focus: np.ndarray | None = None  # where the first event happens
        self.zones: list[tuple[np.ndarray, float, int, int]] = []  # keep-out circle, first and last frame

    def choose(self, options: list, spots: list) -> Any:
        """One of the options, each at (x, y) of `spots`: any for the first event, the nearest for others."""
        if self.focus is None:
            index = int(self.rng.integers(len(options)))
            self.focus = np.array(spots[index], float)
        else:
            index = int(np.argmin(np.linalg.norm(np.array(spots, float) - self.focus, axis=1)))
        return options[index]

    def reserve(self, spot: np.ndarray, radius: float, start: float, end: float) -> None:
        """Keep later arrivals out of a circle between two times in seconds."""
        self.zones.append((np.asarray(spot, float)[:2], radius, int(start * FPS), int(end * FPS)))

    def person_fits(self, track: np.ndarray, gap: float = 0.6, ignore: Person | None = None) -> bool:
        """Whether a person's track (T, 3) keeps `gap` metres from everyone cast so far but `ignore`."""
        some = track[::5]
        for other in self.people:
            if other is not ignore and np.nanmin(np.append(np.hypot(*(some - other.track[::5])[:, :2].T), 99)) < gap:
                return False
        for driver in self.drivers:
            state, vehicle = driver.track[::5], driver.vehicle
            if _inside(some[:, :2], state[:, [0, 1, 3]], vehicle.length / 2 + 0.5, vehicle.width / 2 + 0.35):
                return False
        for at in self.place.parked:
            if _inside(some[:, :2], np.asarray(at)[None], 2.55, 1.15):
                return False
        for centre, radius, start, end in self.zones:
            if np.nanmin(np.append(np.hypot(*(track[max(start, 0) : end : 5, :2] - centre).T), 99)) < radius:
                return False
        return True

    def driver_fits(self, driver: Driver) -> bool:
        """Whether a vehicle keeps clear of everyone cast so far."""
        state, vehicle = driver.track[::4], driver.vehicle
        pose = state[:, [0, 1, 3]]
        for person in self.people:
            if _inside(person.track[::4, :2], pose, vehicle.length / 2 + 1.0, vehicle.width / 2 + 0.5):
                return False
        for other in self.drivers:
            if _cars_touch(pose, other.track[::4][:, [0, 1, 3]]):
                return False
        for at in self.place.parked:
            if _cars_touch(pose, np.broadcast_to(np.asarray(at), pose.shape)):
                return False
        for centre, radius, start, end in self.zones:
            near = np.hypot(*(driver.track[max(start, 0) : end : 4, :2] - centre).T)
            if np.nanmin(np.append(near, 99)) < radius + 1.5:
                return False
        return True

    def body(self) -> Body:
        """Put a new body on the stage."""
        return Body(self.stage, self.rng)

    def vehicle(self, crash: bool = False) -> Vehicle:
        """Put a new moving vehicle on the stage."""
        return Vehicle(self.stage, self.rng, KINDS[self.rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])], crash=crash)

    def enter(self, person: Person, point: tuple) -> Person:
        """Put a fresh person at `point`."""
        person.here = np.array([*point, 0.0])
        return person


def _inside(xy: np.ndarray, pose: np.ndarray, half_length: float, half_width: float) -> bool:
    away = xy - pose[:, :2]
    cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
    along, across = away[:, 0] * cos + away[:, 1] * sin, away[:, 1] * cos - away[:, 0] * sin
    return bool(np.any((np.abs(along) < half_length) & (np.abs(across) < half_width)))


def _cars_touch(a: np.ndarray, b: np.ndarray) -> bool:
    for i in (-1.3, 0, 1.3):
        for j in (-1.3, 0, 1.3):
            p = a[:, :2] + i * np.stack([np.cos(a[:, 2]), np.sin(a[:, 2])], 1)
            q = b[:, :2] + j * np.stack([np.cos(b[:, 2]), np.sin(b[:, 2])], 1)
            if np.nanmin(np.append(np.hypot(*(p - q).T), 99)) < 2.0:
                return True
    return False


def beside(route: list, offset: float) -> list:
    """Move a route (list of points) sideways by `offset` metres."""
    points = np.asarray(route, float)
    along = np.gradient(points, axis=0)
    side = np.stack([-along[:, 1], along[:, 0]], 1)
    return list(points + offset * side / np.linalg.norm(side, axis=1, keepdims=True))


def add_walkers(cast: Cast, count: int) -> None:
    """People passing through, some of them running, spread over the whole duration."""
    rng, seconds = cast.rng, cast.frames / FPS
    for _ in range(count):
        body = cast.body()
        runs = rng.random() < 0.12
        for _ in range(12):
            route = cast.place.walks[rng.integers(len(cast.place.walks))]
            route = beside(route if rng.random() < 0.5 else route[::-1], rng.uniform(-0.7, 0.7))
            speed = rng.uniform(2.6, 3.6) if runs else rng.uniform(1.05, 1.6)
            start = int(rng.uniform(-0.75 * Path(route).length / speed, seconds) * FPS)
            person = cast.enter(Person(body, cast.frames, start), route[0])
            person.walk(route, speed, 0.85 if runs else 0.0)
            person.role = "running" if runs else "walking"
            if not np.isnan(person.track[:, 0]).all() and cast.person_fits(person.track):
                cast.people.append(person)
                break


def add_groups(cast: Cast, count: int) -> None:
    """People who stand together and talk, sit, or wait alone; some leave after a while."""
    rng = cast.rng
    stands, seats = list(cast.place.stands), list(cast.place.seats)
    for _ in range(count):
        if seats and rng.random() < 0.4:
            x, y, heading = seats.pop(rng.integers(len(seats)))
            side = np.array([-np.sin(heading), np.cos(heading)]) * rng.uniform(-0.4, 0.4)
            person = cast.enter(Person(cast.body(), cast.frames, 0), (x + side[0], y + side[1]))
            person.here[2] = heading
            seed = rng.uniform(0, 6)
            person.stay(cast.frames / FPS + 1, lambda t, seed=seed: sitting(t, seed))
            person.role = "sitting"
            if cast.person_fits(person.track):
                cast.people.append(person)
        elif stands:
            add_chat(cast, np.array(stands.pop(rng.integers(len(stands))), float))


def add_chat(cast: Cast, spot: np.ndarray) -> None:
    """One to three people stand at `spot`, alone or talking; they may leave before the video ends."""
    rng = cast.rng
    size = int(rng.choice([1, 2, 2, 3]))
    turn, leave = rng.uniform(0, 6.28), rng.uniform(0.4, 1.4) * cast.frames / FPS
    greet = rng.uniform(1, 6) if rng.random() < 0.4 and size == 2 else -9
    members = []
    for k in range(size):
        angle = turn + 2 * np.pi * k / size
        radius = (0.52 if size == 2 else 0.62) if size > 1 else 0
        at = spot + radius * np.array([np.cos(angle), np.sin(angle)])
        person = cast.enter(Person(cast.body(), cast.frames, 0), tuple(at))
        person.here[2] = angle + np.pi + rng.normal(0, 0.15)
        seed = rng.uniform(0, 6)
        if size == 1:
            person.stay(leave, lambda t, seed=seed: standing(t, seed))
        elif greet > 0:
            person.stay(min(greet, leave), lambda t, seed=seed: chatting(t, seed))
            person.stay(2.5, lambda t, seed=seed: shaking_hands(t, seed))
            person.stay(max(leave - greet - 2.5, 0.1), lambda t, seed=seed: chatting(t, seed))
        else:
            person.stay(leave, lambda t, seed=seed: chatting(t, seed))
        person.role = "standing" if size == 1 else "talking"
        if person.cursor < cast.frames:
            walk_off(cast, person, rng.uniform(1.1, 1.5), prefer=k)
        members.append(person)
    if all(cast.person_fits(person.track) for person in members):
        cast.people += members


def walk_off(
    cast: Cast,
    person: Person,
    speed: float,
    vigour: float = 0.0,
    prefer: int = 0,
    away: np.ndarray | None = None,
) -> None:
    """Leave along the nearest walking route, to its end that is farther from `away` if given."""
    here = person.here[:2]
    routes = [Path(route) for route in cast.place.walks]
    gaps = [np.linalg.norm(path.at(path.near(here)) - here) for path in routes]
    path = routes[int(np.argsort(gaps)[min(prefer % 2, len(gaps) - 1)])]
    s = path.near(here)
    forward = cast.rng.random() < 0.5
    if away is not None:
        ahead, behind = path.at(np.array(s + 4)), path.at(np.array(s - 4))
        forward = np.linalg.norm(ahead - away) > np.linalg.norm(behind - away)
    far = path.length if forward else 0.0
    step = 2.0 if forward else -2.0
    rest = path.at(np.arange(s + step, far, step)) if abs(far - s) > 3 else path.at(np.array([far]))
    person.walk([here, *rest], speed, vigour)


def add_traffic(cast: Cast, count: int) -> None:
    """Cars driving through; some stop on the way."""
    rng, seconds = cast.rng, cast.frames / FPS
    for _ in range(count):
        vehicle = cast.vehicle()
        for _ in range(10):
            if not cast.place.roads:
                return
            path = Path(cast.place.roads[rng.integers(len(cast.place.roads))], 3)
            speed = (
                rng.uniform(2.5, 4.5)
                if cast.place.kind in ("parking lot", "back alley", "petrol station")
                else rng.uniform(5.5, 10)
            )
            if rng.random() < 0.35:
                middle = path.length / 2 + rng.uniform(-9, 9)
                speeds = stop_and_go(path, speed, middle, rng.uniform(2, 8))
            else:
                speeds = cruise(path, speed)
            start = int(rng.uniform(-0.6 * len(speeds) / FPS, seconds) * FPS)
            driver = Driver(vehicle, cast.frames, start).drive(path, speeds)
            if not np.isnan(driver.track[:, 0]).all() and cast.driver_fits(driver):
                cast.drivers.append(driver)
                break


def react(cast: Cast, where: np.ndarray, when: float, watch: bool) -> None:
    """Passers-by near `where` run away at `when` seconds, or some come closer to look."""
    rng, frame = cast.rng, int(when * FPS)
    for person in cast.people:
        if person.role not in ("walking", "running", "talking", "standing") or frame >= cast.frames:
            continue
        at = person.track[max(frame, 0)]
        if np.isnan(at[0]) or np.linalg.norm(at[:2] - where) > 13:
            continue
        wait = int(rng.uniform(5, 20))
        saved = person.track.copy(), list(person.acts)
        first = frame + wait
        if first >= cast.frames or np.isnan(person.track[first, 0]):
            continue
        person.interrupt(first)
        if watch:
            gap = where - person.here[:2]
            stop = where - gap / np.linalg.norm(gap) * rng.uniform(3.5, 5.5)
            person.walk([person.here[:2], stop], rng.uniform(2.6, 3.4), 0.8)
            heading = np.arctan2(gap[1], gap[0])
            seed = rng.uniform(0, 6)
            person.stay(99, lambda t, seed=seed: pointing(t, seed), heading)
        else:
            walk_off(cast, person, rng.uniform(3.2, 4.4), 1.0, int(rng.integers(2)), where)
        if cast.person_fits(person.track, 0.35, ignore=person):
            person.role = "watching" if watch else "fleeing"
        else:
            person.track, person.acts = saved


def schedule(rng: np.random.Generator, wanted: tuple[str, ...], duration: float) -> list[tuple[str, float, float]]:
    """Draw the times of the `wanted` events: (class, begin, end) in seconds, in the given order.

    An accident may happen at any time; its wrecks and some fires stay to the end of the video, and so does
    the event, so that nothing abnormal is left unlabelled.
    """
    if "roadaccidents" in wanted[:-1]:
        raise ValueError("a road accident must be the last event of a scene: its wrecks stay in view")
    if duration < SHORTEST * len(wanted):
        raise ValueError(f"{duration} s is too short for {len(wanted)} events: {SHORTEST} s each is the least")
    spans = []
    for index, name in enumerate(wanted):
        low, high = duration * index / len(wanted), duration * (index + 1) / len(wanted)
        last = index == len(wanted) - 1
        stays = name == "roadaccidents" or (name == "arson" and last and rng.random() < 0.5)
        if stays:
            spans.append((name, rng.uniform(low + 1.0, high - 0.3 * (high - low)), duration))
            continue
        longest = min(7.5 if name == "explosion" else 12.0, 0.62 * (high - low))
        lasts = rng.uniform(min(6.0 if name == "arson" else 3.5, longest), longest)
        begin = rng.uniform(low + 1.0, high - lasts - 1.0)
        spans.append((name, begin, begin + lasts))
    return spans
