"""A fine solver of the bioheat equation, written apart from the package: what it is held against.

Finite volumes in float64: the flux through every face is stored, fluid is placed by its formula
and not by a mask brought to another grid, and steps are short. Slow, and for small burns only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GAS, FREQUENCY, ENERGY = 8.314, 3.1e98, 6.28e5


@dataclass(frozen=True)
class Layer:
    """Fluid between two planes, at distances along a unit vector, mm; open or thin."""

    way: tuple[float, float, float]
    near_mm: float
    far_mm: float
    is_open: bool

    def holds(self, points):
        along = points @ np.array(self.way)
        return (along >= self.near_mm) & (along < self.far_mm)


def face_conductances(kinds, conductivity, exchange, h):
    """W/(m² K) of the faces along each axis; kinds 0 tissue, 1 fluid, 2 open."""
    half = {0: h / 2 / conductivity[0], 1: h / 2 / conductivity[1]}
    half[2] = 1 / exchange if exchange > 0 else np.inf
    resistance = np.choose(kinds, [half[0], half[1], half[2]])
    faces = []
    for axis in range(3):
        a = np.take(resistance, range(kinds.shape[axis] - 1), axis)
        b = np.take(resistance, range(1, kinds.shape[axis]), axis)
        faces.append(1 / (a + b))
    return faces


def heat(points, h_mm, source, kinds, *, seconds, after, conductivity, capacity, exchange):
    """Damage and the temperature's rise when the heating ends, shape (X, Y, Z)."""
    h = h_mm / 1000
    faces = face_conductances(kinds, conductivity, exchange, h)
    volume_capacity = np.choose(kinds, [capacity[0], capacity[1], 1.0])
    step = 0.8 * h * h * min(capacity) / (6 * max(conductivity))
    free = kinds < 2
    for axis in range(3):
        edge = [slice(None)] * 3
        edge[axis] = [0, -1]
        free[tuple(edge)] = False
    rise, damage, hottest = (np.zeros(kinds.shape) for _ in range(3))
    heating, cooling = int(np.ceil(seconds / step)), int(np.ceil(after / step))
    step = seconds / heating
    for n in range(heating + cooling):
        gain = source * h if n < heating else np.zeros_like(source)
        for axis, face in enumerate(faces):
            flux = face * np.diff(rise, axis=axis)
            low, high = [slice(None)] * 3, [slice(None)] * 3
            low[axis], high[axis] = slice(0, -1), slice(1, None)
            gain[tuple(low)] += flux
            gain[tuple(high)] -= flux
        rise = np.where(free, np.minimum(rise + step * gain / (volume_capacity * h), 63.0), 0.0)
        hot = rise > 3.0
        damage[hot] += step * FREQUENCY * np.exp(-ENERGY / (GAS * (310.15 + rise[hot])))
        if n == heating - 1:
            hottest = rise.copy()
    return damage, hottest


def tip_light(points, tip, way, heating, attenuation, h_mm):
    """Heat of a diffusing tip, W/m³, shape (X, Y, Z); it adds up to the power that heats."""
    tip, way = np.array(tip), np.array(way)
    end = tip + heating.diffuser_mm * way
    along = (points - tip) @ way
    beside = np.linalg.norm(points - tip - along[..., None] * way, axis=-1)
    ends = np.minimum(np.linalg.norm(points - tip, axis=-1), np.linalg.norm(points - end, axis=-1))
    r = np.where((along >= 0) & (along <= heating.diffuser_mm), beside, ends)
    r = np.maximum(r, 0.83) / 1000
    light = np.exp(-attenuation * r) / r
    return light * (heating.power_w * heating.efficiency / (light.sum() * (h_mm / 1000) ** 3))
