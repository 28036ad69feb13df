"""Explosions and arson, and the debris that blasts and crashes throw about."""

import numpy as np

from .effects import Blast, Fire, Smoke
from .geometry import smoothstep
from .motion import FPS, Path, Person
from .poses import POUR, RECOIL, RELAXED, THROW_BACK, THROW_END, cowering
from .story import Cast, Event, walk_off


def explosion(cast: Cast, begin: float, end: float) -> np.ndarray:
    """Blow something up at `begin`; the smoke has thinned by `end` seconds. Returns where."""
    rng = cast.rng
    if rng.random() < 0.6:
        targets = [target.at for target in cast.place.targets]
        spot = np.array([*cast.choose(targets, targets), 0.5])
    else:
        spot = np.array([*cast.choose(cast.place.fights, cast.place.fights), 0.3])
    size = rng.uniform(1.5, 2.6)
    cast.effects.append(Blast(rng, spot, begin, size))
    if end - begin > 4.5:
        again = begin + rng.uniform(0.3, 0.45) * (end - begin)
        cast.effects.append(
            Blast(rng, spot + np.array([*rng.normal(0, 0.8, 2), 0.2]), again, rng.uniform(0.55, 0.8) * size)
        )
    around = spot + rng.normal(0, 0.5, (5, 3)) * [1, 1, 0.3]
    cast.effects.append(
        Smoke(rng, around, begin + 0.2, end - 0.9, 1.3 * size, rng.uniform(0.1, 0.22), 7, 3.2, 1.0, 0.4)
    )
    flames = around * [1, 1, 0] + [0, 0, 0.1]
    burnt_out = begin + rng.uniform(0.55, 0.9) * (end - begin)
    cast.effects.append(Fire(rng, flames, begin + 0.2, burnt_out, rng.uniform(1.2, 2.0), 0.6))
    scatter_debris(cast, spot, begin, 9, 7.0, True)
    cast.reserve(spot[:2], 1.6, begin - 0.5, end)
    cast.events.append(Event("explosion", int(begin * FPS), int(end * FPS)))
    return spot[:2]


def arson(cast: Cast, begin: float, end: float) -> np.ndarray:
    """Someone pours or throws fuel from `begin`; it burns until `end` seconds. Returns where.

    The event starts when the fuel catches fire.
    """
    rng = cast.rng
    target = cast.choose(cast.place.targets, [target.at for target in cast.place.targets])
    at, stand = np.array(target.at), np.array(target.approach)
    route = Path(cast.place.walks[rng.integers(len(cast.place.walks))])
    s = route.near(tuple(stand))
    side = rng.choice([-1, 1])
    points = [*route.at(s + side * np.linspace(13, 3, 5)), stand]
    walk = max(int(Path(points).length / 1.5 * FPS), 2)
    person = cast.enter(Person(cast.body(), cast.frames, int(begin * FPS) - walk), tuple(points[0]))
    person.walk(points, 1.5)
    person.cursor = int(begin * FPS)
    heading = np.arctan2(*(at - stand)[::-1])
    throws = rng.random() < 0.45
    acting = 1.3 if throws else 2.6

    def deed(t: float) -> np.ndarray:
        if throws:
            return THROW_BACK + (THROW_END - THROW_BACK) * smoothstep((t - begin - 0.7) / 0.3)
        return POUR + 0.12 * np.sin(5 * t) * (RECOIL - RELAXED)

    person.stay(acting, deed, heading)
    person.stay(0.5, lambda t: cowering(t, 0.0) * 0.3 + RECOIL * 0.5)
    walk_off(cast, person, rng.uniform(3.2, 4.4), 1.0, 0, at)
    person.role = "arsonist"
    cast.people.append(person)
    lit = begin + acting - 0.2
    grow = rng.uniform(1.5, 3.5)
    burns_on = end * FPS > cast.frames - FPS
    out = end + 9 if burns_on else end
    cast.effects.append(Fire(rng, target.spots, lit, out, target.size, grow))
    smoke = target.size * rng.uniform(0.75, 1.2)
    cast.effects.append(
        Smoke(
            rng,
            target.spots + np.array([0, 0, 0.8]),
            lit + 0.8,
            out - 2,
            smoke,
            rng.uniform(0.1, 0.25),
            6,
            4.5,
            0.85,
        )
    )
    cast.reserve(at, 2.6, begin - 2, end)
    cast.events.append(Event("arson", int(lit * FPS), int(end * FPS)))
    return at


def scatter_debris(cast: Cast, spot: np.ndarray, begin: float, count: int, force: float, dark: bool) -> None:
    """Pieces thrown from `spot` that fly, hit the ground and stay."""
    rng, stage = cast.rng, cast.stage
    for _ in range(count):
        frame = stage.frame()
        tone = rng.uniform(0.05, 0.15) if dark else rng.uniform(0.1, 0.6)
        stage.box(
            frame,
            tuple(rng.uniform(0.03, 0.17, 3) * [1, 1, 0.5]),
            (0, 0, 0),
            stage.paint((tone, tone, tone * 1.05)),
        )
        velocity = rng.normal(0, 1, 3) * [0.55, 0.55, 0.3] * force + [0, 0, 0.7 * force]
        landing = (velocity[2] + np.sqrt(velocity[2] ** 2 + 19.6 * spot[2])) / 9.8
        t = np.arange(cast.frames) / FPS - begin
        fly = np.clip(t, 0, landing)
        slide = (1 - np.exp(-3 * np.maximum(t - landing, 0))) * 0.15
        track = np.full((cast.frames, 6), np.nan)
        track[:, :2] = spot[:2] + velocity[:2] * (fly + slide)[:, None]
        track[:, 2] = np.maximum(spot[2] + velocity[2] * fly - 4.9 * fly**2, 0.04)
        track[:, 3:] = rng.uniform(3, 12, 3) * fly[:, None] * [1, 1, 1]
        track[t > landing, 4:] = 0
        track[t < 0] = np.nan
        cast.debris.append((frame, track))
