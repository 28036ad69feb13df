"""Wording of what can be seen in a frame."""

import numpy as np

HEADS = (
    "",
    "",
    "cctv footage of ",
    "surveillance video of ",
    "a security camera view of ",
    "surveillance footage of ",
)
ANOMALY = {
    "fighting": (
        "fighting",
        "people fighting",
        "two people fighting",
        "a fight between people",
        "people punching and kicking each other",
        "fighting, people hitting each other",
        "a man being beaten",
        "fighting in public",
    ),
    "explosion": (
        "explosion",
        "an explosion",
        "a big explosion with smoke",
        "explosion with a fireball and black smoke",
        "an explosion, people running away",
        "a blast and dark smoke",
        "explosion with fire and debris",
    ),
    "roadaccidents": (
        "road accident",
        "roadaccidents",
        "car crash",
        "a car accident",
        "two crashed cars",
        "a road accident, cars collided",
        "a car crash with smoke from the hood",
        "roadaccidents, damaged cars on the road",
        "a traffic accident, people run up to crashed cars",
    ),
    "arson": (
        "arson",
        "arson, a fire burning",
        "arson, flames and smoke",
        "someone setting a fire",
        "a deliberately lit fire, arson",
        "arson, something on fire",
        "burning flames and smoke, arson",
    ),
}
NORMAL = (
    "normal {place} scene",
    "a normal day, {place}",
    "normal activity",
    "a normal scene",
    "normal {place}",
    "everyday life",
)

PHRASES = ANOMALY | {
    "normal": (
        "normal",
        "a normal scene",
        "a normal street scene",
        "normal activity",
        "everyday life",
        "nothing unusual",
    )
}
"""What may be said of any frame of a class."""


def _article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _bustle(rng: np.random.Generator, roles: list[str], moving: list[bool], parked: bool) -> list[str]:
    """Phrases for ordinary things in view."""
    out = []
    walking = sum(role in ("walking", "fighting", "arsonist") for role in roles)
    if walking > 1:
        out.append(str(rng.choice(["people walking", "pedestrians walking by", "people walking past"])))
    elif walking == 1:
        out.append(str(rng.choice(["a person walking", "someone walking"])))
    if any(role in ("running", "fleeing") for role in roles):
        out.append("a person running")
    if "talking" in roles:
        out.append(str(rng.choice(["people standing and talking", "people chatting"])))
    if "sitting" in roles:
        out.append("a person sitting on a bench")
    if any(moving):
        out.append(str(rng.choice(["a car driving past", "cars driving", "a moving car"])))
    elif moving or parked:
        out.append(str(rng.choice(["parked cars", "cars parked", "a stopped car"])))
    if not out:
        out.append(str(rng.choice(["nobody around", "an empty place", "no people"])))
    return out


def caption(
    rng: np.random.Generator,
    place: str,
    time: str,
    label: str,
    roles: list[str],
    moving: list[bool],
    parked: bool,
) -> str:
    """One caption; `roles` are what the visible people do, `moving` tells which visible cars move."""
    where = _article(place)
    head = str(rng.choice(HEADS))
    setting = where + (f" {time}" if rng.random() < 0.6 else "")
    if label != "normal":
        deed = str(rng.choice(ANOMALY[label]))
        form = rng.integers(4)
        if form == 0:
            return f"{head}{deed}"
        if form == 1:
            return f"{head}{deed} at {setting}"
        return f"{head}{setting}, {deed}"
    bustle = _bustle(rng, roles, moving, parked)
    rng.shuffle(bustle)
    seen = " and ".join(bustle[: int(rng.integers(1, 3))])
    if rng.random() < 0.6:
        normal = str(rng.choice(NORMAL)).format(place=place)
        return f"{head}{normal}, {seen}" if rng.random() < 0.7 else f"{head}{setting}, {normal}"
    return f"{head}{setting}, {seen}"
