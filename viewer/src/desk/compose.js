// An image over the T1w through a matrix, in one plane. No browser is needed.
import { IN_PLANE } from "./drawing.js";

export const multiply = (a, b) => a.map((row) => [0, 1, 2, 3].map((c) => row.reduce((sum, v, k) => sum + v * b[k][c], 0)));

/** Inverse of an affine 4 x 4 matrix. */
export function inverse(m) {
  const [[a, b, c], [d, e, f], [g, h, i]] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const turned = [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((v) => v / det));
  return [...turned.map((row) => [...row, -(row[0] * m[0][3] + row[1] * m[1][3] + row[2] * m[2][3])]), [0, 0, 0, 1]];
}

/** What `falx.desk.placing.nudged` computes: the matrix after the image was moved over the T1w. */
export function nudged(before, translationMm, rotationDeg, centre) {
  const [x, y, z] = rotationDeg.map((v) => (v * Math.PI) / 180);
  const [cx, sx, cy, sy, cz, sz] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y), Math.cos(z), Math.sin(z)];
  const turn = [
    [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
    [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
    [-sy, cy * sx, cy * cx],
  ];
  const moved = turn.map((row, r) => [...row, translationMm[r] + centre[r] - row[0] * centre[0] - row[1] * centre[1] - row[2] * centre[2]]);
  return multiply(before, inverse([...moved, [0, 0, 0, 1]]));
}

export const middle = ({ shape, affine }) => [0, 1, 2].map((r) => affine[r][3] + [0, 1, 2].reduce((sum, c) => sum + affine[r][c] * ((shape[c] - 1) / 2), 0));

/** Greys of an image at the voxels of a plane of the T1w, top row first; linear, 0 outside. */
export function planeThrough(head, image, matrix, axis, slice) {
  const [u, v] = IN_PLANE[axis];
  const toVoxel = multiply(inverse(image.affine), multiply(matrix, head.affine));
  const [nu, nv] = [head.shape[u], head.shape[v]];
  const found = new Float32Array(nu * nv);
  const [nx, ny, nz] = image.shape;
  const { grey } = image;
  const step = [toVoxel[0][u], toVoxel[1][u], toVoxel[2][u]];
  let out = 0;
  for (let b = nv - 1; b >= 0; b--) {
    const start = [0, 1, 2].map((r) => toVoxel[r][axis] * slice + toVoxel[r][v] * b + toVoxel[r][3]);
    for (let a = 0; a < nu; a++, out++) {
      const x = start[0] + a * step[0];
      const y = start[1] + a * step[1];
      const z = start[2] + a * step[2];
      if (!(x >= 0 && y >= 0 && z >= 0 && x <= nx - 1 && y <= ny - 1 && z <= nz - 1)) continue;
      const [i, j, k] = [Math.min(Math.floor(x), nx - 2), Math.min(Math.floor(y), ny - 2), Math.min(Math.floor(z), nz - 2)];
      const [fx, fy, fz] = [x - i, y - j, z - k];
      const n = i + nx * (j + ny * k);
      const row = (m) => grey[m] * (1 - fx) + grey[m + 1] * fx;
      const near = row(n) * (1 - fy) + row(n + nx) * fy;
      const far = row(n + nx * ny) * (1 - fy) + row(n + nx * ny + nx) * fy;
      found[out] = near * (1 - fz) + far * fz;
    }
  }
  return found;
}

/** Share of the image at a pixel, 0 to 1: by opacity, to the right of a line, or in every other square. */
export function share(how, amount, a, b, nu, squarePx) {
  if (how === "opacity") return amount;
  if (how === "swipe") return a >= amount * nu ? 1 : 0;
  return (Math.floor(a / squarePx) + Math.floor(b / squarePx)) % 2;
}
