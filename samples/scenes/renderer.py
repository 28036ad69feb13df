"""Draws a posed stage with MuJoCo's OpenGL renderer and returns colour and depth."""

import functools

import cv2
import mujoco
import numpy as np

from .camera import Camera
from .stage import STATIC, Stage

SUPERSAMPLE = 2
NEAR, FAR = 0.5, 250.0  # metres
HIDDEN_GROUP = 5


@functools.cache
def gl_context() -> mujoco.GLContext:
    """Open the process's one OpenGL context; raises whatever the platform raises where there is none."""
    context = mujoco.GLContext(64, 64)
    context.make_current()
    return context


class Renderer:
    """One compiled stage seen by one fixed camera."""

    def __init__(self, stage: Stage, camera: Camera, sun: np.ndarray, sun_level: float, ambient: float) -> None:
        spec = stage.spec
        quality = spec.visual.quality
        quality.numslices, quality.numstacks, quality.numquads = 8, 4, 1
        quality.offsamples, quality.shadowsize = 0, 0
        self.height, self.width = camera.height * SUPERSAMPLE, camera.width * SUPERSAMPLE
        spec.visual.global_.offwidth, spec.visual.global_.offheight = self.width, self.height
        spec.visual.map.znear, spec.visual.map.zfar = NEAR, FAR
        spec.stat.extent, spec.stat.center = 1.0, [0, 0, 0]
        spec.visual.headlight.active = 1
        spec.visual.headlight.ambient = [ambient] * 3
        spec.visual.headlight.diffuse = [0.08] * 3
        spec.visual.headlight.specular = [0] * 3
        spec.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, dir=sun, diffuse=[sun_level] * 3, castshadow=False
        )
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, camera.rot.ravel())
        spec.worldbody.add_camera(pos=camera.pos, quat=quat, fovy=np.degrees(camera.fov))
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)

        owner = np.array(stage.owner)
        self.moving = np.flatnonzero(owner != STATIC)
        self.owner = owner[self.moving]
        self.local_pos = self.model.geom_pos[self.moving].copy()
        self.local_rot = self.data.geom_xmat[self.moving].reshape(-1, 3, 3).copy()

        self._drop_unseen(owner == STATIC, camera)
        gl_context().make_current()
        self.context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50)
        self.scene = mujoco.MjvScene(self.model, self.model.ngeom + 10)
        self.scene.flags[:] = 0
        self.scene.flags[mujoco.mjtRndFlag.mjRND_CULL_FACE] = 1
        self.option = mujoco.MjvOption()
        self.view = mujoco.MjvCamera()
        self.view.type, self.view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0

    def _drop_unseen(self, static: np.ndarray, camera: Camera) -> None:
        """Hide for good what never moves and lies outside the view; drawing is bound by vertices."""
        local = (self.data.geom_xpos - camera.pos) @ camera.rot  # (G, 3): right, up, backward
        depth, radius = -local[:, 2], self.model.geom_rbound
        slope = np.array([camera.width / 2, camera.height / 2]) / camera.focal
        outside = (np.abs(local[:, :2]) - depth[:, None] * slope) / np.hypot(1, slope) > radius[:, None]
        unseen = static & (outside.any(1) | (depth < -radius))
        self.model.geom_group[unseen] = HIDDEN_GROUP

    def draw(self, pos: np.ndarray, rot: np.ndarray, show: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw the stage with its frames at `pos` (F, 3), `rot` (F, 3, 3); only those with `show` (F,).

        Returns:
            colour (H, W, 3) uint8 RGB and depth (H, W) float32 in metres along the viewing axis.

        """
        owner = self.owner
        self.data.geom_xpos[self.moving] = pos[owner] + np.einsum("gij,gj->gi", rot[owner], self.local_pos)
        self.data.geom_xmat[self.moving] = (rot[owner] @ self.local_rot).reshape(-1, 9)
        self.model.geom_group[self.moving] = np.where(show[owner], 0, HIDDEN_GROUP)

        gl_context().make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self.model, self.data, self.option, None, self.view, everything, self.scene)
        rect = mujoco.MjrRect(0, 0, self.width, self.height)
        mujoco.mjr_render(rect, self.scene, self.context)
        colour = np.empty((self.height, self.width, 3), np.uint8)
        depth = np.empty((self.height, self.width), np.float32)
        mujoco.mjr_readPixels(colour, depth, rect, self.context)

        size = (self.width // SUPERSAMPLE, self.height // SUPERSAMPLE)
        colour = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)[::-1]
        depth = depth[::SUPERSAMPLE, ::SUPERSAMPLE][::-1]
        return colour, NEAR / (1 - depth * (1 - NEAR / FAR))

    def close(self) -> None:
        """Free the OpenGL objects."""
        gl_context().make_current()
        self.context.free()
