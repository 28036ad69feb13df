"""A complete surveillance scene that can be rendered at any frame, in any order."""

import cv2
import numpy as np

from . import captions
from .camera import Camera, Sensor
from .crashes import accident
from .fights import fight
from .fires import arson, explosion
from .geometry import quad, rot_x, rot_y, rot_z
from .light import Light, Weather, light_field
from .motion import FPS
from .people import place_bodies
from .place import REACH
from .renderer import Renderer
from .sprites import Sprite, glow, paint_sprites
from .stage import STATIC, Stage
from .story import Cast, Event, add_chat, add_groups, add_traffic, add_walkers, react, schedule
from .streets import alley, crossing, street
from .yards import parking_lot, petrol_station, shop_plaza

INCIDENTS = {"fighting": fight, "explosion": explosion, "roadaccidents": accident, "arson": arson}
CLASSES = ("normal", *INCIDENTS)
PLACES = (crossing, parking_lot, shop_plaza, petrol_station, alley, street)
HULL = 16  # points that stand for a part when its shadow is cast
LAMP_COLOURS = ((1.25, 0.95, 0.62), (1.1, 1.08, 1.0), (1.3, 0.85, 0.45))


class Scene:
    """One fixed camera over one place for `duration` seconds.

    Args:
        seed: everything about the scene follows from it.
        kind: "normal" or the class of its event.
        duration: seconds; drawn from 20 to 60 if omitted.
        events: classes of several events in order of time, overriding `kind`.
        place: index into `PLACES`, drawn if omitted.

    """

    fps = FPS
    size = (240, 320)

    def __init__(
        self,
        seed: int,
        kind: str,
        duration: float | None = None,
        events: tuple[str, ...] | None = None,
        place: int | None = None,
    ) -> None:
        rng = np.random.default_rng((seed, CLASSES.index(kind)))
        self.seed, self.kind = seed, kind
        self.duration = float(duration or rng.uniform(20, 60))
        self.frames = round(self.duration * FPS)
        self.wanted = tuple(events) if events else ((kind,) if kind != "normal" else ())
        self.weather = Weather.drawn(rng)
        self.stage = Stage()
        usable = [p for p in PLACES if "roadaccidents" not in self.wanted or p.__name__ != "alley"]
        chosen = usable[rng.integers(len(usable))] if place is None else PLACES[place]
        self.place = chosen(self.stage, rng, self.weather.darkness)
        self.cast = Cast(self.stage, self.place, rng, self.frames)
        self.watched = self.wanted[-1] if self.wanted else str(rng.choice([*INCIDENTS]))
        focus = self._tell(rng)
        self.events: tuple[Event, ...] = tuple(sorted(self.cast.events, key=lambda event: event.start_frame))
        self.camera = self._hang(rng, focus)
        self.sensor = Sensor(rng, self.camera, self.weather.darkness)
        self.lamp_colour = np.array(LAMP_COLOURS[rng.integers(len(LAMP_COLOURS))]) * rng.uniform(0.9, 1.3)
        self._lay_ground()
        self.renderer = Renderer(
            self.stage, self.camera, self.weather.sun, self.weather.sun_level, self.weather.ambient
        )
        self._prepare()
        self._set_exposure(rng)

    def _tell(self, rng: np.random.Generator) -> np.ndarray:
        """Cast events and then ordinary life; returns the spot of the last event, or one that might be watched."""
        place = self.place
        spots = {"arson": [target.at for target in place.targets], "roadaccidents": [at for *_, at in place.crash]}
        spots = spots.get(self.watched) or place.fights
        focus = np.array(spots[rng.integers(len(spots))], float)
        reactions = []
        for name, begin, end in schedule(rng, self.wanted, self.duration):
            focus = INCIDENTS[name](self.cast, begin, end)
            reactions.append((focus, begin, name))
        if not self.wanted and rng.random() < (0.7 if self.watched == "fighting" else 0.2):
            add_chat(self.cast, focus)
        add_groups(self.cast, int(rng.integers(0, 3)))
        add_traffic(self.cast, int(rng.integers(1, 4) + self.duration // 20))
        add_walkers(self.cast, int(rng.integers(5, 10) + self.duration // 6))
        for spot, begin, name in reactions:
            watch = name == "roadaccidents" or (name == "fighting" and rng.random() < 0.5)
            react(self.cast, spot, begin, watch)
        return focus

    def _hang(self, rng: np.random.Generator, focus: np.ndarray) -> Camera:
        """Mount the camera so that `focus` is near the middle of the view.

        A normal scene is watched as if one of the events were to come, so that the view tells nothing.
        """
        place = self.place
        aim = np.array(place.aim)
        aim = aim + (focus - aim) * rng.uniform(0.75, 0.95) + rng.normal(0, 0.5, 2)
        azimuth, height = rng.uniform(*place.azimuth), rng.uniform(*place.height)
        distance = rng.uniform(*place.distance)
        if self.watched == "fighting":
            distance, height = rng.uniform(4.5, 7.0), min(height, rng.uniform(2.6, 4.0))
        elif self.watched == "arson":
            distance = rng.uniform(8.0, 11.5)
        elif self.watched == "explosion":
            distance += rng.uniform(1, 3)
        else:
            distance *= 0.85
        level = np.sqrt(max(distance**2 - height**2, 9))
        pos = np.array([aim[0] + level * np.sin(azimuth), aim[1] - level * np.cos(azimuth), height])
        pos[0] = np.clip(pos[0], -place.corridor, place.corridor)
        target = np.array([*aim, rng.uniform(0.6, 1.4) + (1.2 if self.watched == "explosion" else 0)])
        return Camera.aimed(pos, target, np.radians(rng.uniform(42, 56)), rng.normal(0, 0.015))

    def _lay_ground(self) -> None:
        """Bake the shadows of what never moves into the ground and put it on the stage."""
        hulls = []
        for owner, points in zip(self.stage.owner, self.stage.shadow_points, strict=True):
            if owner == STATIC and points is not None:
                hulls.append(self._cast_on_ground(points)[:, :2])
        ground = self.place.ground
        ground.shade(hulls, self.weather.shadow, self.weather.softness)
        corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * REACH
        self.stage.mesh(STATIC, self.stage.add_mesh(*quad(corners)), self.stage.texture(ground.image))
        far = corners * 8 - [0, 0, 0.05]
        tone = ground.image[::64, ::64].reshape(-1, 3).mean(0) / 255
        self.stage.mesh(STATIC, self.stage.add_mesh(*quad(far)), self.stage.paint(tuple(tone)))

    def _cast_on_ground(self, points: np.ndarray) -> np.ndarray:
        """Shadow on the ground (..., 3) of points (..., 3)."""
        sun = self.weather.sun
        return points - sun * (np.maximum(points[..., 2:], 0) / sun[2])

    def _prepare(self) -> None:
        """Arrays that every frame reuses."""
        self.rays = self.camera.rays()
        owner, points = [], []
        for frame, hull in zip(self.stage.owner, self.stage.shadow_points, strict=True):
            if frame != STATIC and hull is not None:
                owner.append(frame)
                some = hull[:: len(hull) // HULL + 1]
                points.append(some[np.arange(HULL) % len(some)])
        self.caster, self.caster_points = np.array(owner, int), np.array(points).reshape(-1, HULL, 3)
        count = self.stage.frames
        self.pos, self.rot = np.zeros((count, 3)), np.tile(np.eye(3), (count, 1, 1))
        self.show = np.zeros(count, bool)

    def _set_exposure(self, rng: np.random.Generator) -> None:
        """Choose the sensor's gain as automatic exposure would: from how bright the first frame is."""
        light, _ = self._light(0)
        target = rng.uniform(95, 125) - rng.uniform(20, 45) * self.weather.darkness
        self.sensor.exposure = float(np.clip(target / light.mean(), 0.7, 2.2))

    def _in_view(self, state: np.ndarray, margin: float) -> bool:
        """Whether somebody at x, y = `state[:2]` (NaN while away) is within `margin` metres of the view."""
        if np.isnan(state[0]):
            return False
        (x, y), depth = self.camera.project(np.array([*state[:2], 0.9]))
        slack = margin * self.camera.focal / max(depth, 0.5)
        height, width = self.size
        return bool(depth > 0.3 and -slack < x < width + slack and -slack < y < height + slack)

    def _pose(self, frame: int) -> None:
        """Put everyone where they are at `frame`."""
        self.show[:] = False
        present = [person for person in self.cast.people if self._in_view(person.track[frame], 1.5)]
        if present:
            spots = np.stack([person.track[frame] for person in present])
            poses = np.stack([person.pose(frame) for person in present])
            places, turns = place_bodies([person.body for person in present], spots, poses)
            for person, place, turn in zip(present, places, turns, strict=True):
                self.pos[person.body.frames], self.rot[person.body.frames] = place, turn
                self.show[person.body.frames] = True
        for driver in self.cast.drivers:
            state = driver.track[frame]
            if self._in_view(state, 5.0):
                wrecked = frame >= driver.wrecked_from
                opening = driver.hood * min((frame - driver.wrecked_from) / 6, 1) if wrecked else 0.0
                driver.vehicle.pose(state, wrecked, opening, self.pos, self.rot, self.show)
        for piece, track in self.cast.debris:
            if not np.isnan(track[frame, 0]):
                self.pos[piece], self.show[piece] = track[frame, :3], True
                a, b, c = track[frame, 3:]
                self.rot[piece] = rot_z(a) @ rot_y(b) @ rot_x(c)

    def _shadows(self, picture: np.ndarray, height: np.ndarray) -> None:
        """Darken the ground where moving things stand between it and the light, in place."""
        seen = self.show[self.caster]
        owner = self.caster[seen]
        if not len(owner):
            return
        turned = np.einsum("gij,gkj->gki", self.rot[owner], self.caster_points[seen])
        points = self.pos[owner][:, None] + turned
        spots, depth = self.camera.project(self._cast_on_ground(points))
        mask = np.zeros(picture.shape[:2], np.uint8)
        for outline, away in zip(np.round(spots * 8).astype(np.int32), depth.min(1), strict=True):
            if away > 0.5:
                cv2.fillConvexPoly(mask, cv2.convexHull(outline), 255, cv2.LINE_AA, 3)
        blur = max(self.weather.softness * self.camera.focal / np.linalg.norm(self.camera.pos), 0.6)
        if blur > 3:  # a wide penumbra has no detail: a quarter of the pixels will do
            small = cv2.GaussianBlur(mask[::2, ::2], (0, 0), blur / 2)
            mask = cv2.resize(small, mask.shape[::-1])
        else:
            mask = cv2.GaussianBlur(mask, (0, 0), blur)
        dark = mask.astype(np.float32) * np.float32(self.weather.shadow / 255)
        dark[height > 0.06] = 0
        picture *= 1 - dark[..., None]

    def _lights(self, frame: int, seconds: float) -> list[Light]:
        """List the fires and, after dark, the lamps and headlights."""
        lights = [light for effect in self.cast.effects for light in effect.lights(seconds)]
        if self.weather.darkness > 0.3:
            level = self.lamp_colour * (0.35 + 0.75 * self.weather.darkness)
            lights += [Light(at - [0, 0, 1.5], level, 6.5) for at in self.place.lamps]
            for driver in self.cast.drivers:
                x, y, _, heading = driver.track[frame, :4]
                if not np.isnan(x) and frame < driver.wrecked_from:
                    ahead = np.array([x + 5.5 * np.cos(heading), y + 5.5 * np.sin(heading), 0.3])
                    lights.append(Light(ahead, np.array([1.0, 0.96, 0.85]) * 0.9, 2.6))
        return lights

    def _glows(self, frame: int) -> list[Sprite]:
        """Lamps and headlights that shine into the camera."""
        if self.weather.darkness < 0.3:
            return []
        tint = self.lamp_colour / self.lamp_colour.max()
        level = 0.9 * self.weather.darkness
        out = [Sprite(at - [0, 0, 0.05], 1.5, glow(), level, 0, tint) for at in self.place.lamps]
        for driver in self.cast.drivers:
            state, vehicle = driver.track[frame], driver.vehicle
            if np.isnan(state[0]) or frame >= driver.wrecked_from:
                continue
            turn = rot_z(state[3])
            for end, tint, size in ((1, (1, 0.97, 0.88), 1.1), (-1, (1, 0.1, 0.06), 0.6)):
                if (self.camera.pos - state[:3]) @ turn[:, 0] * end > 0:
                    for side in (-0.34, 0.34):
                        lamp = (end * (vehicle.length / 2 + 0.1), side * vehicle.width, 0.65)
                        out.append(Sprite(state[:3] + turn @ lamp, size, glow(), 1.0, 0, np.array(tint)))
        return out

    def render(self, frame: int) -> np.ndarray:
        """Render the camera's picture at `frame`, (240, 320, 3) uint8 RGB."""
        seconds = frame / FPS
        picture, depth = self._light(frame)
        ambient = np.clip(self.weather.base, 0.3, 1.2)
        sprites = [sprite for effect in self.cast.effects for sprite in effect.sprites(seconds, ambient)]
        paint_sprites(picture, depth, self.camera, sprites + self._glows(frame))
        return self.sensor.develop(picture, frame, seconds, self.seed)

    def _light(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Light that reaches the camera before effects (H, W, 3) float32, and depth (H, W) in metres."""
        self._pose(frame)
        colour, depth = self.renderer.draw(self.pos, self.rot, self.show)
        picture = colour.astype(np.float32)
        height = np.float32(self.camera.pos[2]) + self.rays[..., 2] * depth
        self._shadows(picture, height)
        return self._illuminate(picture, depth, frame, frame / FPS), depth

    def _illuminate(self, picture: np.ndarray, depth: np.ndarray, frame: int, seconds: float) -> np.ndarray:
        """Apply the time of day, lamps and fires; fade distant things into the sky."""
        base = self.weather.base.astype(np.float32)
        lights = self._lights(frame, seconds)
        if lights:
            where = self.camera.pos.astype(np.float32) + self.rays[::2, ::2] * depth[::2, ::2, None]
            field = cv2.resize(light_field(where, base, lights), picture.shape[1::-1])
        else:
            field = np.broadcast_to(base, picture.shape)
        if self.weather.darkness > 0.3:
            brightest = cv2.max(cv2.max(picture[..., 0], picture[..., 1]), picture[..., 2])
            shining = np.clip((brightest - 232) / 20, 0, 1)[..., None]
            field = field + shining * np.maximum(1 - field, 0)
        picture = picture * field
        haze = np.clip((depth - 30) / 150, 0, 0.7)
        haze[depth > 200] = 1
        haze = haze[..., None]
        return picture * (1 - haze) + self.weather.sky.astype(np.float32) * haze

    def label_at(self, frame: int) -> str:
        """Class of the event going on at `frame`, or "normal"."""
        for event in self.events:
            if event.start_frame <= frame < event.end_frame:
                return event.class_name
        return "normal"

    def caption(self, frame: int, rng: np.random.Generator) -> str:
        """Describe briefly what is visible at `frame`, worded at random."""
        roles = [person.role for person in self.cast.people if self._in_view(person.track[frame], 0)]
        moving = [bool(car.moving[frame]) for car in self.cast.drivers if self._in_view(car.track[frame], 0)]
        place, time, parked = self.place.kind, self.weather.phrase, bool(self.place.parked)
        return captions.caption(rng, place, time, self.label_at(frame), roles, moving, parked)

    def close(self) -> None:
        """Free the renderer."""
        self.renderer.close()
