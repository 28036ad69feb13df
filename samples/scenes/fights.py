"""Fighting: people meet, strike, kick and wrestle, and go apart again."""

import numpy as np

from .geometry import smoothstep
from .motion import FPS, Path, Person, PoseAt
from .poses import (
    CLINCH,
    CROUCH,
    CURLED,
    DOUBLED,
    GUARD,
    HOOK,
    JAB,
    KICK,
    KNEE,
    LOW_KICK,
    OVERHAND,
    RECOIL,
    RELAXED,
    SHOVE,
    STOMP,
    SUPINE,
    WINDUP,
    chatting,
    strike,
)  # fmt: skip
from .story import Cast, Event, walk_off

STRIKES = (
    (JAB, RECOIL),
    (HOOK, RECOIL),
    (OVERHAND, DOUBLED),
    (KICK, DOUBLED),
    (KNEE, DOUBLED),
    (SHOVE, RECOIL),
    (KICK, RECOIL),
)
ARGUE = 1.6  # seconds of standing face to face before the first blow


def fight(cast: Cast, begin: float, end: float) -> np.ndarray:
    """Two to four people strike, kick and wrestle between `begin` and `end` seconds; returns where."""
    rng = cast.rng
    spot = np.array(cast.choose(cast.place.fights, cast.place.fights), float)
    fighters = int(rng.choice([2, 3, 3, 4]))
    victim_falls = rng.random() < 0.65
    down = begin + rng.uniform(0.45, 0.65) * (end - begin) if victim_falls else end + 99
    wrestle = (end + 99, 0.0)
    if rng.random() < 0.6:
        wrestle = (begin + rng.uniform(0.15, 0.35) * (end - begin), rng.uniform(1.5, 3.0))
    beats = _beats(rng, begin, min(down, end), fighters)
    turn, spin = rng.choice([0, np.pi]) + rng.normal(0, 0.5), rng.normal(0, 0.1)
    drift = rng.normal(0, 0.12, 2)
    count = int((end - begin) * FPS)
    t = begin + np.arange(count) / FPS
    centre = spot + drift * (t - begin)[:, None] + 0.15 * np.stack([np.sin(1.9 * t), np.cos(2.3 * t)], 1)
    angle = turn + spin * (t - begin) + 0.4 * np.sin(1.1 * t)
    close = smoothstep((t - wrestle[0]) / 0.4) * smoothstep((wrestle[0] + wrestle[1] - t) / 0.4)
    fallen = smoothstep((t - down) / 0.5)
    # The victim (0) stands in the middle; the others are spread on an arc around him.
    arc = {2: [0], 3: [-0.7, 0.7], 4: [-1.1, 0.1, 1.25]}[fighters]
    for k in range(fighters):
        reach = 0.47 - 0.14 * close + 0.06 * np.sin(2.6 * t + k)
        if k == 0:
            away, reach = angle + np.pi, reach + 0.25 * fallen
        else:
            away, reach = angle + arc[k - 1], reach + (0.18 if fighters > 2 else 0) - 0.1 * fallen
        xy = centre + reach[:, None] * np.stack([np.cos(away), np.sin(away)], 1)
        act = _fighter(k, beats, down, wrestle, rng.uniform(0, 1))
        rows = np.column_stack([xy, away + np.pi])
        _attend(cast, rows, act, begin, k, fighters, fell=victim_falls and k == 0)
    cast.reserve(spot, 2.2, begin - 4, end + 3)
    cast.events.append(Event("fighting", int(begin * FPS), int(end * FPS)))
    return spot


def _attend(cast: Cast, rows: np.ndarray, act: PoseAt, begin: float, k: int, fighters: int, fell: bool) -> None:
    """Bring one fighter to the spot, let them fight along `rows`, and send them away."""
    rng = cast.rng
    first = rows[0]
    route = Path(cast.place.walks[rng.integers(len(cast.place.walks))])
    s = route.near(tuple(first[:2]))
    side = -1 if k % 2 == 0 else 1
    approach = route.at(np.linspace(s + side * 14, s + side * 3, 5))
    before = first[:2] - 0.15 * np.array([np.cos(first[2]), np.sin(first[2])])
    path, speed = [*approach, before], rng.uniform(1.3, 1.9)
    walk = max(int(Path(path).length / speed * FPS), 2)
    argue = ARGUE + rng.uniform(0, 1.0)
    start = int(begin * FPS) - walk - int(argue * FPS)
    person = cast.enter(Person(cast.body(), cast.frames, start), tuple(path[0]))
    person.walk(path, speed)
    seed = rng.uniform(0, 6)
    person.stay(argue, lambda t: chatting(1.8 * t, seed), first[2])
    person.cursor = int(begin * FPS)
    person.follow(rows, act)
    person.role = "fighting"
    cast.people.append(person)
    if person.cursor >= cast.frames:
        return
    if fell:
        up = person.cursor / FPS
        person.stay(1.6, lambda t: CURLED + (CROUCH - CURLED) * smoothstep((t - up + 0.2) / 1.1))
        walk_off(cast, person, 1.0)
    else:
        speed = rng.uniform(2.8, 4.0) if fighters > 2 or rng.random() < 0.6 else 1.6
        walk_off(cast, person, speed, 0.8, k, rows[0, :2] - 3)


def _beats(rng: np.random.Generator, begin: float, end: float, fighters: int) -> list[tuple[float, float, int, int]]:
    """Blows as (start, seconds, attacker, move); attackers alternate, often against the victim 0."""
    beats, t = [], begin
    while t < end:
        lasts = rng.uniform(0.5, 0.85)
        attacker = int(rng.integers(1, fighters)) if rng.random() < 0.68 else 0
        beats.append((t, lasts, attacker, int(rng.integers(len(STRIKES)))))
        t += lasts * rng.uniform(0.75, 1.0)
    return beats


def _fighter(k: int, beats: list, down: float, wrestle: tuple[float, float], shift: float) -> PoseAt:
    """Pose over time of fighter `k` (0 is the victim)."""

    def act(t: float) -> np.ndarray:
        if t > down:
            if k == 0:
                return _falling(t - down)
            u = ((t - down) * 1.05 + shift) % 1.0
            move = STOMP if int((t - down) * 1.05 + shift) % 3 == 2 else LOW_KICK
            windup = RELAXED + 0.5 * (WINDUP - GUARD)
            return strike(windup, move, u)
        if wrestle[0] < t < wrestle[0] + wrestle[1] and k < 2:
            sway = np.sin(5 * t + 3 * k)
            return CLINCH + 0.18 * sway * (GUARD - RELAXED) + 0.12 * np.sin(8 * t) * (KNEE - GUARD)
        vector = GUARD + 0.06 * np.sin(6 * t + 4 * k + np.arange(len(GUARD)))
        for start, lasts, attacker, move in beats:
            u = (t - start) / lasts
            if 0 <= u < 1.3:
                blow, reaction = STRIKES[move]
                if attacker == k:
                    vector = strike(vector, blow, min(u, 1.0))
                elif k == 0 or (attacker == 0 and k == 1):
                    vector = strike(vector, reaction, u - 0.22)
        return vector

    return act


def _falling(age: float) -> np.ndarray:
    """Go down on the back and curl up, `age` seconds after the knock-out."""
    stagger = RECOIL + (SUPINE - RECOIL) * smoothstep((age - 0.1) / 0.5)
    curl = stagger + (CURLED - stagger) * smoothstep((age - 0.7) / 0.5)
    return curl + 0.1 * np.sin(7 * age + np.arange(len(curl)))
