// A mask under the brush: voxels in one array, strokes that can be undone. No browser is needed.
// Axes run to the right, anterior, superior; the first is the fastest.

/** Places along an axis: across 0 lie 1 and 2, and so on; horizontal first. */
export const IN_PLANE = [[1, 2], [0, 2], [0, 1]];

export class Drawing {
  constructor(shape, bits) {
    this.shape = shape;
    this.bits = bits;
    this.strides = [1, shape[0], shape[0] * shape[1]];
    this.past = [];
    this.future = [];
    this.stroke = null;
  }

  /** A stroke gathers what it changes: place by place, with what was there. */
  begin() {
    this.stroke = new Map();
  }

  end() {
    const { stroke } = this;
    this.stroke = null;
    if (!stroke?.size) return false;
    const places = Uint32Array.from(stroke.keys());
    this.past.push({ places, was: Uint8Array.from(stroke.values()), is: places.length ? Uint8Array.from(places, (n) => this.bits[n]) : null });
    this.future = [];
    return true;
  }

  set(n, value) {
    if (this.bits[n] === value) return;
    if (!this.stroke.has(n)) this.stroke.set(n, this.bits[n]);
    this.bits[n] = value;
  }

  undo() {
    return this.travel(this.past, this.future, "was");
  }

  redo() {
    return this.travel(this.future, this.past, "is");
  }

  travel(from, to, what) {
    const step = from.pop();
    if (!step) return false;
    step.places.forEach((n, k) => { this.bits[n] = step[what][k]; });
    to.push(step);
    return true;
  }

  /** Take another mask as one stroke, as filling between slices gives it. */
  take(bits) {
    this.begin();
    for (let n = 0; n < bits.length; n++) if (bits[n] !== this.bits[n]) this.set(n, bits[n]);
    return this.end();
  }

  /**
   * Stamp the brush at a voxel.
   *
   * `brush`: axis of the plane, radiusMm, ball (in depth, too), value, and for the threshold brush
   * `allows(n)`, which says of a voxel whether it may change.
   */
  stamp(at, brush, voxelMm) {
    const reach = voxelMm.map((size, a) => (a === brush.axis && !brush.ball ? 0 : Math.floor(brush.radiusMm / size + 1e-9)));
    const span = at.map((v, a) => [Math.max(0, Math.round(v) - reach[a]), Math.min(this.shape[a] - 1, Math.round(v) + reach[a])]);
    const limit = brush.radiusMm * brush.radiusMm + 1e-9;
    const far2 = (v, a) => ((v - Math.round(at[a])) * voxelMm[a]) ** 2;
    for (let k = span[2][0]; k <= span[2][1]; k++)
      for (let j = span[1][0]; j <= span[1][1]; j++) {
        const across = far2(k, 2) + far2(j, 1);
        if (across > limit) continue;
        for (let i = span[0][0]; i <= span[0][1]; i++) {
          if (across + far2(i, 0) > limit) continue;
          const n = i + this.strides[1] * j + this.strides[2] * k;
          if (!brush.allows || brush.allows(n)) this.set(n, brush.value);
        }
      }
  }

  /** Stamp along a line, so that a fast hand leaves no gaps. */
  line(from, to, brush, voxelMm) {
    const gap = Math.hypot(...from.map((v, a) => (to[a] - v) * voxelMm[a]));
    const steps = Math.max(1, Math.ceil(gap / Math.max(brush.radiusMm / 2, Math.min(...voxelMm))));
    for (let s = 1; s <= steps; s++) this.stamp(from.map((v, a) => v + ((to[a] - v) * s) / steps), brush, voxelMm);
  }

  /** Fill what an outline encloses on one slice: all that the border of the slice does not reach. */
  fillOutline(axis, slice) {
    const [u, v] = IN_PLANE[axis];
    const [nu, nv] = [this.shape[u], this.shape[v]];
    const place = (a, b) => slice * this.strides[axis] + a * this.strides[u] + b * this.strides[v];
    const outside = new Uint8Array(nu * nv);
    const open = [];
    const visit = (a, b) => {
      if (a < 0 || b < 0 || a >= nu || b >= nv || outside[a + nu * b] || this.bits[place(a, b)]) return;
      outside[a + nu * b] = 1;
      open.push(a, b);
    };
    for (let a = 0; a < nu; a++) { visit(a, 0); visit(a, nv - 1); }
    for (let b = 0; b < nv; b++) { visit(0, b); visit(nu - 1, b); }
    while (open.length) {
      const b = open.pop();
      const a = open.pop();
      visit(a - 1, b); visit(a + 1, b); visit(a, b - 1); visit(a, b + 1);
    }
    this.begin();
    for (let b = 0; b < nv; b++)
      for (let a = 0; a < nu; a++) if (!outside[a + nu * b]) this.set(place(a, b), 1);
    return this.end();
  }

  count() {
    let inside = 0;
    for (let n = 0; n < this.bits.length; n++) inside += this.bits[n];
    return inside;
  }
}
