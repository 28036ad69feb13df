"""Small rotation and mesh helpers shared by everything that is modelled."""

import numpy as np


def rot_x(angle: np.ndarray | float) -> np.ndarray:
    """Rotation about x by `angle` radians of any shape (...); returns (..., 3, 3)."""
    return _rotation(angle, 1, 2)


def rot_y(angle: np.ndarray | float) -> np.ndarray:
    """Rotation about y by `angle` radians of any shape (...); returns (..., 3, 3)."""
    return _rotation(angle, 2, 0)


def rot_z(angle: np.ndarray | float) -> np.ndarray:
    """Rotation about z by `angle` radians of any shape (...); returns (..., 3, 3)."""
    return _rotation(angle, 0, 1)


def _rotation(angle: np.ndarray | float, a: int, b: int) -> np.ndarray:
    angle = np.asarray(angle, float)
    out = np.zeros((*angle.shape, 3, 3))
    out[..., 3 - a - b, 3 - a - b] = 1
    out[..., a, a] = out[..., b, b] = np.cos(angle)
    out[..., b, a] = np.sin(angle)
    out[..., a, b] = -out[..., b, a]
    return out


def smoothstep(x: np.ndarray | float) -> np.ndarray | float:
    """Cubic ease from 0 (x <= 0) to 1 (x >= 1)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def box_points(half: tuple[float, float, float]) -> np.ndarray:
    """Eight corners (8, 3) of a box with half sizes `half` in metres."""
    signs = np.array([[i, j, k] for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)], float)
    return signs * np.asarray(half, float)


def quad(corners: np.ndarray, repeat: tuple[float, float] = (1, 1)) -> tuple[np.ndarray, ...]:
    """Textured quad mesh from corners (4, 3), counter-clockwise from the texture's lower left."""
    u, v = repeat
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return np.asarray(corners, float), faces, np.array([[0, 0], [u, 0], [u, v], [0, v]], float)


def loft(rings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make a closed mesh through rings of points.

    Args:
        rings: (R, K, 3) points, K around each of R rings, counter-clockwise seen from the last ring.

    Returns:
        vertices (R * K + 2, 3), the last two being the caps' centres, and faces (F, 3).

    """
    count, around, _ = rings.shape
    vertices = np.concatenate([rings.reshape(-1, 3), rings[0].mean(0)[None], rings[-1].mean(0)[None]])
    faces = []
    for ring in range(count - 1):
        for k in range(around):
            a, b = ring * around + k, ring * around + (k + 1) % around
            faces += [[a, b, b + around], [a, b + around, a + around]]
    bottom, top = count * around, count * around + 1
    last = (count - 1) * around
    for k in range(around):
        nxt = (k + 1) % around
        faces += [[bottom, nxt, k], [top, last + k, last + nxt]]
    return vertices, np.array(faces)


def faceted(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give every face its own vertices so that shading breaks at the edges."""
    return vertices[faces.ravel()], np.arange(faces.size).reshape(-1, 3)


def blob(rng: np.random.Generator, radius: float, rough: float) -> tuple[np.ndarray, np.ndarray]:
    """Lumpy sphere (tree crown, bush) of `radius` metres; `rough` is the relative bumpiness."""
    latitudes, around = np.linspace(-1.35, 1.35, 6), 9
    angles = np.arange(around) * 2 * np.pi / around
    rings = np.stack(
        [
            np.stack([np.cos(lat) * np.cos(angles), np.cos(lat) * np.sin(angles), np.sin(lat) + 0 * angles], 1)
            for lat in latitudes
        ]
    )
    rings *= radius * (1 + rough * rng.uniform(-1, 1, (len(latitudes), around, 1)))
    return loft(rings)
