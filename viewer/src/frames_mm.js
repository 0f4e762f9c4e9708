// A place in other frames: AC–PC by a matrix, the template by its map on a coarse grid.
import { apply } from "./planner.js";

/** Template millimetres of a place, trilinear between the map's points; null outside them. */
export function inTemplate(template, place) {
  if (!template) return null;
  const { shape: [nx, ny, nz], toVoxel, points } = template;
  const at = apply(toVoxel, place);
  const low = at.map(Math.floor);
  if (low.some((v, a) => v < 0 || v + 1 >= [nx, ny, nz][a])) return null;
  const part = at.map((v, a) => v - low[a]);
  const found = [0, 0, 0];
  for (let corner = 0; corner < 8; corner++) {
    const bits = [corner & 1, (corner >> 1) & 1, (corner >> 2) & 1];
    const weight = bits.reduce((w, bit, a) => w * (bit ? part[a] : 1 - part[a]), 1);
    const first = 3 * (((low[0] + bits[0]) * ny + low[1] + bits[1]) * nz + low[2] + bits[2]);
    for (let a = 0; a < 3; a++) found[a] += weight * points[first + a];
  }
  return found.every(Number.isFinite) ? found : null;
}

/** AC–PC millimetres of a place, origin between the commissures; null where they are not known. */
export const inAcpc = (matrix, place) => (matrix ? apply(matrix, place) : null);

/** Rows of a table: each end in the frames that are known. */
export function placesOf(plan, scene) {
  const text = (mm) => (mm ? mm.map((v) => v.toFixed(1)).join(", ") : "–");
  return ["entry", "target"].map((end) => [
    end, text(plan[end]), text(inAcpc(scene.acpc, plan[end])), text(inTemplate(scene.template, plan[end])),
  ]);
}
