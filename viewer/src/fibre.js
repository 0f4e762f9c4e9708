// Fibre and burns as closed surfaces of revolution around the track, in RAS+ mm.
import { track } from "./planner.js";

const AROUND = 32;
const CAP = 8;
/** Half of the 1.65 mm of the laser catheter. */
const CATHETER_RADIUS_MM = 0.825;

const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
];

/** Two unit vectors that stand on the track and on each other. */
function frame(way) {
  const helper = Math.abs(way[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
  const u = cross(way, helper);
  const length = Math.hypot(...u);
  const unit = u.map((v) => v / length);
  return [unit, cross(way, unit)];
}

/** Rings of a capsule as [distance from the target back along the track, radius]. */
function capsuleRings(burn) {
  const rings = [];
  const arc = (n) => (Math.PI / 2) * (n / CAP);
  const end = burn.tipOffset + burn.pullBack;
  for (let n = CAP; n >= 0; n--)
    rings.push([burn.tipOffset - burn.radius * Math.sin(arc(n)), burn.radius * Math.cos(arc(n))]);
  for (let n = 0; n <= CAP; n++)
    rings.push([end + burn.radius * Math.sin(arc(n)), burn.radius * Math.cos(arc(n))]);
  return rings;
}

/** One surface of several tubes; the number of its triangles depends on the burns' number only. */
function surface(plan, tubes) {
  const { way } = track(plan);
  const [u, v] = frame(way);
  const points = [];
  const faces = [];
  for (const rings of tubes) {
    const first = points.length / 3;
    for (const [t, radius] of rings)
      for (let n = 0; n < AROUND; n++) {
        const angle = (2 * Math.PI * n) / AROUND;
        const [p, q] = [Math.max(radius, 1e-3) * Math.cos(angle), Math.max(radius, 1e-3) * Math.sin(angle)];
        points.push(...plan.target.map((x, a) => x - t * way[a] + p * u[a] + q * v[a]));
      }
    for (let k = 0; k + 1 < rings.length; k++)
      for (let n = 0; n < AROUND; n++) {
        const a = first + k * AROUND + n;
        const b = first + k * AROUND + ((n + 1) % AROUND);
        faces.push(a, a + AROUND, b, b, a + AROUND, b + AROUND);
      }
  }
  return { points: new Float32Array(points), faces: new Uint32Array(faces) };
}

export function fibreSurface(plan) {
  const { length } = track(plan);
  const r = CATHETER_RADIUS_MM;
  return surface(plan, [[[-1, 0], [0, r], [length, r], [length + 1, 0]]]);
}

export function burnSurface(plan) {
  return surface(plan, plan.burns.map(capsuleRings));
}
