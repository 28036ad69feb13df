"""The 3D set: what is modelled once per scene and then posed and drawn for every frame."""

from collections.abc import Callable

import mujoco
import numpy as np

from .geometry import box_points

STATIC = -1
Material = str


class Stage:
    """Collects geometry into one MuJoCo model.

    Every geom belongs to a frame (a moving coordinate system numbered from 0) or is `STATIC`. A frame's
    pose is chosen by the caller for each picture; no physics runs. Lengths are metres, z is up.
    """

    def __init__(self) -> None:
        self.spec = mujoco.MjSpec()
        self.frames = 0
        self.owner: list[int] = []
        self.shadow_points: list[np.ndarray | None] = []
        self._materials: dict[tuple, Material] = {}
        self._shared: dict[tuple, str] = {}

    def frame(self) -> int:
        """Open a new moving frame and return its number."""
        self.frames += 1
        return self.frames - 1

    def paint(self, colour: tuple[float, float, float], shine: float = 0.1, glow: float = 0.0) -> Material:
        """Plain material; `colour` is RGB in [0, 1], `glow` the part shown without any light."""
        key = (*np.round(colour, 3), shine, glow)
        if key not in self._materials:
            name = f"paint{len(self._materials)}"
            self.spec.add_material(
                name=name, rgba=[*colour, 1], specular=shine, shininess=0.5, emission=glow, reflectance=0
            )
            self._materials[key] = name
        return self._materials[key]

    def texture(self, image: np.ndarray) -> Material:
        """Textured material from an RGB uint8 image (H, W, 3), whose first row is the top."""
        name = f"texture{len(self.spec.textures)}"
        height, width, _ = image.shape
        texture = self.spec.add_texture(
            name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=3
        )
        texture.data = np.ascontiguousarray(image[::-1]).tobytes()  # OpenGL's first row is the bottom
        self._textured(name, name, (1, 1, 1), 0.0)
        return name

    def retint(self, texture: Material, tint: tuple[float, float, float], shine: float) -> Material:
        """Another material that shows an existing texture in another colour."""
        key = (texture, *np.round(tint, 3), shine)
        if key not in self._materials:
            self._materials[key] = self._textured(f"tint{len(self._materials)}", texture, tint, shine)
        return self._materials[key]

    def _textured(self, name: str, texture: str, tint: tuple[float, float, float], shine: float) -> Material:
        material = self.spec.add_material(name=name, rgba=[*tint, 1], specular=shine, shininess=0.6, reflectance=0)
        roles = material.textures
        roles[mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture
        material.textures = roles
        return name

    def once(self, key: tuple, make: Callable[[], str]) -> str:
        """Name of a texture or mesh that is made at the first request and shared afterwards."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def box(
        self,
        frame: int,
        half: tuple,
        pos: tuple,
        material: Material,
        rot: np.ndarray | None = None,
        shadow=True,
    ):
        """Box with half sizes `half` centred at `pos` in its frame."""
        self._add(mujoco.mjtGeom.mjGEOM_BOX, frame, half, pos, rot, material, box_points(half) if shadow else None)

    def ellipsoid(self, frame: int, radii: tuple, pos: tuple, material: Material, shadow: bool = True):
        """Ellipsoid with semi-axes `radii`."""
        points = box_points(np.asarray(radii) * 0.72) if shadow else None
        self._add(mujoco.mjtGeom.mjGEOM_ELLIPSOID, frame, radii, pos, None, material, points)

    def cylinder(self, frame: int, radius: float, half: float, pos: tuple, material: Material, rot=None, shadow=True):
        """Cylinder along the local z axis."""
        points = box_points((radius * 0.8, radius * 0.8, half)) if shadow else None
        self._add(mujoco.mjtGeom.mjGEOM_CYLINDER, frame, (radius, half, 0), pos, rot, material, points)

    def capsule(self, frame: int, radius: float, half: float, pos: tuple, material: Material, rot=None, shadow=True):
        """Capsule along the local z axis; `half` excludes the round ends."""
        points = box_points((radius * 0.75, radius * 0.75, half + radius * 0.7)) if shadow else None
        self._add(mujoco.mjtGeom.mjGEOM_CAPSULE, frame, (radius, half, 0), pos, rot, material, points)

    def add_mesh(self, vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray | None = None) -> str:
        """Register a mesh for `mesh`; vertices (V, 3), faces (F, 3), uv (V, 2)."""
        name = f"mesh{len(self.spec.meshes)}"
        extra = {} if uv is None else {"usertexcoord": np.asarray(uv, float).ravel()}
        self.spec.add_mesh(
            name=name,
            uservert=vertices.ravel(),
            userface=faces.ravel(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
            **extra,
        )
        return name

    def mesh(self, frame: int, mesh: str, material: Material, pos=(0, 0, 0), rot=None, shadow=None):
        """Place a registered mesh; `shadow` (K, 3) are the points whose hull casts its shadow."""
        self._add(mujoco.mjtGeom.mjGEOM_MESH, frame, (0, 0, 0), pos, rot, material, shadow, meshname=mesh)

    def _add(self, kind, frame, size, pos, rot, material, points, **extra) -> None:
        quat = np.array([1.0, 0, 0, 0])
        if rot is not None:
            mujoco.mju_mat2Quat(quat, np.ascontiguousarray(rot, float).ravel())
        self.spec.worldbody.add_geom(
            type=kind, size=size, pos=pos, quat=quat, material=material, contype=0, conaffinity=0, **extra
        )
        self.owner.append(frame)
        if points is not None:
            points = (points if rot is None else points @ np.asarray(rot).T) + np.asarray(pos, float)
        self.shadow_points.append(points)
