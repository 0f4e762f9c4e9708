// The planner's rules, as falx.surgery applies them. Millimetres are RAS+; nothing here needs
// a browser, so that a test can hold every number against the Python planner's.

/** Step at which tracks are walked, and how far a hand-placed entry may lie off, mm. */
const STEP_MM = 0.25;
const ENTRY_TOLERANCE_MM = 3.0;
/** Keeps plans that lie exactly on a limit. */
const ROUNDING_MM = 1e-3;
/** Added to squared radii, so that voxel centres on the surface of a burn are heated. */
const SURFACE_MM2 = 1e-6;

export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const norm = (a) => Math.sqrt(dot(a, a));
const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** A point through a 4 x 4 matrix of rows. */
export function apply(matrix, point) {
  return [0, 1, 2].map((r) => dot(matrix[r], point) + matrix[r][3]);
}

/** Unit vector from entry to target, and the distance between them. */
export function track(plan) {
  const span = subtract(plan.target, plan.entry);
  const length = norm(span);
  return { length, way: span.map((v) => v / length) };
}

/** Heated voxels of the targets; bit 0 signature in hippocampus, 1 in amygdala, 2 either. */
export function coverage(plan, scene) {
  const { way } = track(plan);
  const counts = [0, 0, 0];
  const { voxels, kinds } = scene;
  for (let n = 0; n < kinds.length; n++) {
    const [x, y, z] = apply(scene.grid.toWorld, [voxels[3 * n], voxels[3 * n + 1], voxels[3 * n + 2]]);
    if (!isHeated(x, y, z, plan.target, way, plan.burns)) continue;
    for (let k = 0; k < 3; k++) counts[k] += (kinds[n] >> k) & 1;
  }
  return counts;
}

/** Box of voxels that holds every burn: first and last index along each axis. */
function burnBox(plan, grid, way) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (const burn of plan.burns) {
    for (const t of [burn.tipOffset, burn.tipOffset + burn.pullBack]) {
      const centre = plan.target.map((v, a) => v - t * way[a]);
      for (let corner = 0; corner < 8; corner++) {
        const sign = [corner & 1, corner & 2, corner & 4].map((bit) => (bit ? 1 : -1));
        const voxel = apply(grid.toVoxel, centre.map((v, a) => v + sign[a] * burn.radius));
        voxel.forEach((v, a) => {
          low[a] = Math.min(low[a], v);
          high[a] = Math.max(high[a], v);
        });
      }
    }
  }
  return {
    from: low.map((v) => Math.max(0, Math.floor(v))),
    to: high.map((v, a) => Math.min(grid.shape[a] - 1, Math.ceil(v))),
  };
}

/** Whether burns along a track heat a point, without any array: dragging asks for 100,000. */
function isHeated(x, y, z, target, way, burns) {
  const [ax, ay, az] = [target[0] - x, target[1] - y, target[2] - z];
  const along = ax * way[0] + ay * way[1] + az * way[2];
  const across2 = ax * ax + ay * ay + az * az - along * along;
  for (let n = 0; n < burns.length; n++) {
    const burn = burns[n];
    const end = burn.tipOffset + burn.pullBack;
    const beyond = along - Math.min(Math.max(along, burn.tipOffset), end);
    if (across2 + beyond * beyond <= burn.radius * burn.radius + SURFACE_MM2) return true;
  }
  return false;
}

/** How many of some points, x, y, z one behind the other, are heated. */
export function heatedCount(points, target, way, burns) {
  let count = 0;
  for (let n = 0; n < points.length; n += 3)
    if (isHeated(points[n], points[n + 1], points[n + 2], target, way, burns)) count++;
  return count;
}

/** How many voxel centres of the T1w grid are heated. */
export function heatedVoxels(plan, grid) {
  const { way } = track(plan);
  const { from, to } = burnBox(plan, grid, way);
  const [[a, b, c, d], [e, f, g, h], [l, m, n, o]] = grid.toWorld;
  let count = 0;
  for (let i = from[0]; i <= to[0]; i++)
    for (let j = from[1]; j <= to[1]; j++)
      for (let k = from[2]; k <= to[2]; k++)
        if (isHeated(a * i + b * j + c * k + d, e * i + f * j + g * k + h, l * i + m * j + n * k + o,
          plan.target, way, plan.burns)) count++;
  return count;
}

/** Distance between voxel centres, mm; beyond the border the border's. */
function trilinear(bytes, fields, at) {
  const [, ny, nz] = fields.shape;
  const v = at.map((x, a) => clip(x, 0, fields.shape[a] - 1.000001));
  const [i, j, k] = v.map(Math.floor);
  const [x, y, z] = [v[0] - i, v[1] - j, v[2] - k];
  const row = (di, dj) => {
    const flat = ((i + di) * ny + j + dj) * nz + k;
    return bytes[flat] * (1 - z) + bytes[flat + 1] * z;
  };
  const near = row(0, 0) * (1 - y) + row(0, 1) * y;
  const far = row(1, 0) * (1 - y) + row(1, 1) * y;
  return (near * (1 - x) + far * x) * fields.unitMm;
}

function isExempt(fields, at) {
  const index = at.map((v, a) => clip(Math.floor(v + 0.5), 0, fields.shape[a] - 1));
  return fields.exempt[(index[0] * fields.shape[1] + index[1]) * fields.shape[2] + index[2]];
}

/** Least distance of the axis to an obstacle outside the targets, and the risk integral, mm. */
export function walk(plan, fields, limits) {
  const { length } = track(plan);
  const steps = Math.ceil(length / STEP_MM);
  const start = apply(fields.toVoxel, plan.entry);
  const stop = apply(fields.toVoxel, plan.target);
  const [near, far] = [limits.min_clearance_mm, limits.risk_far_mm];
  let clearance = Infinity;
  let risk = 0;
  for (let s = 0; s <= steps; s++) {
    const at = start.map((v, a) => v + (s / steps) * (stop[a] - v));
    if (isExempt(fields, at)) continue;
    const distance = trilinear(fields.clearance, fields, at);
    clearance = Math.min(clearance, distance);
    risk += clip((far - distance) / (far - near), 0, 1);
  }
  return { clearance, risk: (risk * length) / (steps + 1) };
}

/** Distances along the track every `stepMm`: to any obstacle, to a vessel where they are known. */
export function profile(plan, fields, stepMm = 1) {
  const { length } = track(plan);
  const steps = Math.ceil(length / stepMm);
  const start = apply(fields.toVoxel, plan.entry);
  const stop = apply(fields.toVoxel, plan.target);
  const found = [];
  for (let s = 0; s <= steps; s++) {
    const at = start.map((v, a) => v + (s / steps) * (stop[a] - v));
    found.push({
      depth: (s / steps) * length,
      obstacle: trilinear(fields.clearance, fields, at),
      vessel: fields.vessel ? trilinear(fields.vessel, fields, at) : null,
      exempt: Boolean(isExempt(fields, at)),
    });
  }
  return found;
}

/** Least distance from heated tissue to a protected voxel; negative if one is heated, mm. */
export function protectedGap(plan, fields) {
  const { way } = track(plan);
  let least = Infinity;
  for (const burn of plan.burns) {
    const steps = Math.ceil(burn.pullBack / STEP_MM - 1e-9);
    for (let s = 0; s <= steps; s++) {
      const t = burn.tipOffset + Math.min(STEP_MM * s, burn.pullBack);
      const at = apply(fields.toVoxel, plan.target.map((v, a) => v - t * way[a]));
      least = Math.min(least, trilinear(fields.protected, fields, at) - burn.radius);
    }
  }
  return least;
}

/** Index of the nearest of some points to a place, and how far it is. */
export function nearest(points, place) {
  let [best, index] = [Infinity, -1];
  for (let n = 0; n < points.length / 3; n++) {
    const [x, y, z] = [points[3 * n] - place[0], points[3 * n + 1] - place[1], points[3 * n + 2] - place[2]];
    const apart2 = x * x + y * y + z * z;
    if (apart2 < best) [best, index] = [apart2, n];
  }
  return { apart: Math.sqrt(best), index };
}

/** Angle to the skull at the nearest allowed entry, degrees, and how far that entry is, mm. */
export function entryAngle(plan, scene) {
  const { apart, index } = nearest(scene.entries, plan.entry);
  const normal = [0, 1, 2].map((a) => scene.outward[3 * index + a]);
  const cosine = clip(-dot(normal, track(plan).way), -1, 1);
  return { degrees: (Math.acos(cosine) * 180) / Math.PI, offEntry: apart };
}

/** Whether a plan can be scored at all: a track and burns with a size. */
export function isPlan(plan) {
  const values = [...plan.entry, ...plan.target];
  for (const burn of plan.burns) values.push(burn.radius, burn.pullBack, burn.tipOffset);
  const sized = plan.burns.every((b) => b.radius > 0 && b.pullBack >= 0 && b.tipOffset >= 0);
  return values.every(Number.isFinite) && sized && plan.burns.length > 0
    && norm(subtract(plan.target, plan.entry)) >= 10;
}

/** Everything the what-if panel shows, and which limits break. */
export function assess(plan, scene) {
  const counts = coverage(plan, scene);
  const { degrees, offEntry } = entryAngle(plan, scene);
  const ablated = heatedVoxels(plan, scene.grid);
  const found = {
    rate: scene.whole[0] > 0 ? counts[0] / scene.whole[0] : null,
    amygdala: scene.whole[1] > 0 ? counts[1] / scene.whole[1] : null,
    ablatedMm3: ablated * scene.grid.voxelMm3,
    outsideMm3: (ablated - counts[2]) * scene.grid.voxelMm3,
    length: track(plan).length,
    angle: degrees,
    offEntry,
    ...walk(plan, scene.fields, scene.limits),
    protected: protectedGap(plan, scene.fields),
    sinus: scene.sinus.length ? nearest(scene.sinus, plan.entry).apart : null,
  };
  return { ...found, broken: brokenLimits(found, scene.limits) };
}

function brokenLimits(found, limits) {
  const above = (value, limit) => value > limit + ROUNDING_MM;
  const below = (value, limit) => value !== null && value < limit - ROUNDING_MM;
  return [
    above(found.length, limits.max_length_mm) && "track length",
    above(found.angle, limits.max_angle_deg) && "angle to the skull",
    above(found.offEntry, ENTRY_TOLERANCE_MM) && "distance from the entry region",
    below(found.clearance, limits.min_clearance_mm) && "clearance of the track",
    below(found.protected, limits.protect_margin_mm) && "distance to protected tissue",
    below(found.sinus, limits.min_sinus_mm) && "distance to a dural sinus",
  ].filter(Boolean);
}

/** The plan in the words of `falx plan --plan FILE`. */
export function planFile(plan) {
  return {
    entry_ras_mm: plan.entry,
    target_ras_mm: plan.target,
    burns: plan.burns.map((burn) => ({
      radius_mm: burn.radius,
      pull_back_mm: burn.pullBack,
      tip_offset_mm: burn.tipOffset,
    })),
    status: "edited, not verified",
  };
}
