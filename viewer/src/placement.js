// What placement error makes of a plan, as falx.surgery.burns.misplaced counts it: the same
// errors, the same rules. Nothing here needs a browser.
import { apply, assess, heatedCount, nearest, track } from "./planner.js";

const WALK_MM = 0.5;
const ROUNDING_MM = 1e-3;
const CATHETER_RADIUS_MM = 0.825;
/** Most that a trilinear distance changes along a mm. */
const STEEPEST = Math.sqrt(3) + 1e-6;
const ENDS = 10;
/** How far an entry may miss and still be compared with the sinuses around the planned one, mm. */
const AROUND_MM = 12;

/** World coordinates of the signature in the hippocampus, one flat array; made once for a scene. */
export function wantedPoints(scene) {
  if (scene.wantedPoints) return scene.wantedPoints;
  const { voxels, kinds } = scene;
  const found = [];
  for (let n = 0; n < kinds.length; n++)
    if (kinds[n] & 1) found.push(...apply(scene.grid.toWorld, [voxels[3 * n], voxels[3 * n + 1], voxels[3 * n + 2]]));
  scene.wantedPoints = Float64Array.from(found);
  return scene.wantedPoints;
}

/** Distance in mm between voxel centres; beyond the border the border's. */
function valueAt(bytes, fields, x, y, z) {
  const [nx, ny, nz] = fields.shape;
  x = Math.min(Math.max(x, 0), nx - 1.000001);
  y = Math.min(Math.max(y, 0), ny - 1.000001);
  z = Math.min(Math.max(z, 0), nz - 1.000001);
  const i = x | 0, j = y | 0, k = z | 0;
  const u = x - i, v = y - j, w = z - k;
  const at = (i * ny + j) * nz + k;
  const next = at + ny * nz;
  const a = bytes[at] * (1 - w) + bytes[at + 1] * w;
  const b = bytes[at + nz] * (1 - w) + bytes[at + nz + 1] * w;
  const c = bytes[next] * (1 - w) + bytes[next + 1] * w;
  const d = bytes[next + nz] * (1 - w) + bytes[next + nz + 1] * w;
  return ((a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u) * fields.unitMm;
}

function isExempt(fields, x, y, z) {
  const [nx, ny, nz] = fields.shape;
  const i = Math.min(Math.max(Math.floor(x + 0.5), 0), nx - 1);
  const j = Math.min(Math.max(Math.floor(y + 0.5), 0), ny - 1);
  const k = Math.min(Math.max(Math.floor(z + 0.5), 0), nz - 1);
  return fields.exempt[(i * ny + j) * nz + k];
}

/** Whether a track stays so far from every obstacle; steps that cannot fail are left out. */
function isClear(fields, start, stop, length, leastMm) {
  const steps = Math.ceil(length / WALK_MM);
  const least = leastMm - ROUNDING_MM;
  for (let n = 0; n <= steps; ) {
    const f = n / steps;
    const x = start[0] + f * (stop[0] - start[0]);
    const y = start[1] + f * (stop[1] - start[1]);
    const z = start[2] + f * (stop[2] - start[2]);
    const room = valueAt(fields.clearance, fields, x, y, z) - least;
    if (room < 0 && !isExempt(fields, x, y, z)) return false;
    n += Math.max(1, Math.trunc(room / (STEEPEST * WALK_MM)));
  }
  return true;
}

/** Least distance to a protected voxel between two places behind the tip, mm. */
function roomAlong(fields, start, stop, length, low, high) {
  const steps = Math.ceil((high - low) / WALK_MM - 1e-9);
  let least = Infinity;
  for (let s = 0; s <= steps; s++) {
    const f = Math.min(low + s * WALK_MM, high) / length;
    least = Math.min(least, valueAt(fields.protected, fields,
      stop[0] + f * (start[0] - stop[0]), stop[1] + f * (start[1] - stop[1]), stop[2] + f * (start[2] - stop[2])));
  }
  return least;
}

/** Where the n-th misplaced copy of a track lies: entry on the skull, ends in the brain, way. */
function misplaced(entry, way, length, ends, n) {
  const e = ends.subarray(n * ENDS, (n + 1) * ENDS);
  const miss = e[0] * way[0] + e[1] * way[1] + e[2] * way[2];
  const tilt = e[3] * way[0] + e[4] * way[1] + e[5] * way[2];
  const turned = [0, 1, 2].map((a) => way[a] + e[3 + a] - tilt * way[a]);
  const size = Math.hypot(...turned);
  const there = turned.map((v) => v / size);
  const far = Math.max(length + e[6], 1);
  const skull = [0, 1, 2].map((a) => entry[a] + e[a] - miss * way[a]);
  const start = skull.map((v, a) => v + e[7 + a]);
  return { skull, start, stop: start.map((v, a) => v + far * there[a]), way: there, length: far };
}

function sinusesNear(scene, entry) {
  const reach = scene.limits.min_sinus_mm + AROUND_MM;
  const found = [];
  for (let n = 0; n < scene.sinus.length; n += 3)
    if (Math.hypot(scene.sinus[n] - entry[0], scene.sinus[n + 1] - entry[1], scene.sinus[n + 2] - entry[2]) < reach)
      found.push(scene.sinus[n], scene.sinus[n + 1], scene.sinus[n + 2]);
  return found;
}

/** What stays the same for all copies of a plan. */
function prepared(plan, scene) {
  const { way, length } = track(plan);
  const { index } = nearest(scene.entries, plan.entry);
  return {
    way, length,
    inward: [0, 1, 2].map((a) => -scene.outward[3 * index + a]),
    minCosine: Math.cos((scene.limits.max_angle_deg * Math.PI) / 180),
    sinus: sinusesNear(scene, plan.entry),
    points: wantedPoints(scene),
  };
}

/** Which limits a copy keeps, whether it touches anything, and how many points it heats. */
function judgedCopy(plan, scene, fixed, draws, n) {
  const { limits, fields } = scene;
  const copy = misplaced(plan.entry, fixed.way, fixed.length, draws.ends, n);
  const { inward } = fixed;
  const cosine = copy.way[0] * inward[0] + copy.way[1] * inward[1] + copy.way[2] * inward[2];
  const start = apply(fields.toVoxel, copy.start);
  const stop = apply(fields.toVoxel, copy.stop);
  const clear = isClear(fields, start, stop, copy.length, limits.min_clearance_mm);
  const width = draws.radii.length / (draws.ends.length / ENDS);
  let gap = Infinity;
  const burns = plan.burns.map((burn, k) => {
    const radius = Math.max(burn.radius + draws.radii[n * width + (k % width)], 0);
    const high = burn.tipOffset + burn.pullBack;
    gap = Math.min(gap, roomAlong(fields, start, stop, copy.length, burn.tipOffset, high) - radius);
    return { radius, tipOffset: burn.tipOffset, pullBack: burn.pullBack };
  });
  const keeps = clear && copy.length <= limits.max_length_mm + ROUNDING_MM
    && cosine >= fixed.minCosine - 1e-9
    && gap >= limits.protect_margin_mm - ROUNDING_MM
    && (!fixed.sinus.length || nearest(fixed.sinus, copy.skull).apart >= limits.min_sinus_mm - ROUNDING_MM);
  const near = !clear || limits.min_clearance_mm < CATHETER_RADIUS_MM;
  const touches = gap < 0 || (near && !isClear(fields, start, stop, copy.length, CATHETER_RADIUS_MM));
  return { keeps, touches, heated: heatedCount(fixed.points, copy.stop, copy.way, burns) };
}

/** Shares of the first copies of a plan that keep every limit, reach the rate, touch nothing. */
export function shares(plan, scene, draws, wanted, number = Infinity) {
  const fixed = prepared(plan, scene);
  const count = Math.min(number, draws.ends.length / ENDS);
  const least = wanted * (fixed.points.length / 3);
  let [holds, reaches, succeeds, harmless] = [0, 0, 0, 0];
  for (let n = 0; n < count; n++) {
    const { keeps, touches, heated } = judgedCopy(plan, scene, fixed, draws, n);
    const enough = fixed.points.length > 0 && heated >= least - 1e-9;
    holds += keeps;
    reaches += enough;
    succeeds += keeps && enough;
    harmless += !touches;
  }
  return { draws: count, holds: holds / count, reaches: reaches / count,
    succeeds: succeeds / count, harmless: harmless / count };
}

/** Interval (95 %) of a share of independent draws: Wilson 1927. */
export function interval(share, draws) {
  const z = 1.959963984540054;
  const middle = (share + (z * z) / (2 * draws)) / (1 + (z * z) / draws);
  const spread = (share * (1 - share)) / draws + (z * z) / (4 * draws * draws);
  const half = (z * Math.sqrt(spread)) / (1 + (z * z) / draws);
  return [Math.max(0, Math.min(share, middle - half)), Math.min(1, Math.max(share, middle + half))];
}

/** What a plan lacks for the goal: whole limits as drawn, then shares; 0 if it lacks nothing. */
export function shortfall(found, shaken, goal) {
  const lack = (share, least) => Math.max(0, least - share);
  return found.broken.length + lack(shaken.holds, goal.keep_probability)
    + lack(shaken.reaches, goal.probability) + lack(shaken.harmless, goal.harmless_probability);
}

/** Plans a step beside another: ends along each axis, sizes of each burn. */
export function neighbours(plan, stepMm) {
  const found = [];
  const changed = (change) => {
    const copy = structuredClone(plan);
    change(copy);
    found.push(copy);
  };
  for (const sign of [-1, 1]) {
    for (const a of [0, 1, 2]) {
      changed((p) => { p.target[a] = rounded(p.target[a] + sign * stepMm); });
      changed((p) => { p.entry[a] = rounded(p.entry[a] + sign * 2 * stepMm); });
      changed((p) => { for (const end of ["entry", "target"]) p[end][a] = rounded(p[end][a] + sign * stepMm); });
    }
    plan.burns.forEach((_, n) => {
      for (const [key, step, low] of [["radius", 0.5, 1], ["pullBack", 2, 0], ["tipOffset", 1, 0]])
        changed((p) => { p.burns[n][key] = Math.max(low, p.burns[n][key] + sign * step * stepMm); });
    });
  }
  return found;
}

const rounded = (value) => Math.round(value * 1000) / 1000;

/** How good a plan is by some draws: less is better, first what it lacks, then tissue outside. */
export function rank(plan, scene, draws, goal) {
  const found = assess(plan, scene);
  const shaken = shares(plan, scene, draws, goal.threshold);
  return { lack: shortfall(found, shaken, goal), succeeds: shaken.succeeds, outside: found.outsideMm3 };
}

/** Whether one rank is better than another: lacks less, or lacks nothing and heats less outside. */
export function isBetter(one, other) {
  if (Math.abs(one.lack - other.lack) > 1e-9) return one.lack < other.lack;
  if (one.lack > 0) return one.succeeds > other.succeeds;
  return one.outside < other.outside - 1e-6;
}
