// One plane of a volume in a plain canvas: no graphics card is asked for. Left is on the left.
import { IN_PLANE } from "./drawing.js";

export const PLANES = ["sagittal", "coronal", "axial"];
/** Letters at the left, right, bottom and top of each plane. */
const LETTERS = [["P", "A", "I", "S"], ["L", "R", "I", "S"], ["L", "R", "P", "A"]];

/** A point through a 4 x 4 matrix of rows. */
export const apply = (m, p) => [0, 1, 2].map((r) => m[r][0] * p[0] + m[r][1] * p[1] + m[r][2] * p[2] + m[r][3]);

/** Millimetres in words. */
export const words = ([x, y, z]) => `${Math.abs(x).toFixed(1)} ${x < 0 ? "L" : "R"}, `
  + `${Math.abs(y).toFixed(1)} ${y < 0 ? "P" : "A"}, ${Math.abs(z).toFixed(1)} ${z < 0 ? "I" : "S"} mm`;

export class SliceView {
  /** `paint(pixels, axis, slice)` fills RGBA pixels of a plane, its top row first. */
  constructor(canvas, axis, volume, paint) {
    Object.assign(this, { canvas, axis, volume, paint, zoom: 1, pan: [0, 0] });
    this.page = document.createElement("canvas");
    this.asPlane(axis);
    new ResizeObserver(() => this.changed?.()).observe(canvas);
  }

  asPlane(axis) {
    this.axis = axis;
    [this.u, this.v] = IN_PLANE[axis];
    const { shape } = this.volume;
    this.page.width = shape[this.u];
    this.page.height = shape[this.v];
    this.pixels = new ImageData(shape[this.u], shape[this.v]);
  }

  /** Pixels of the screen to a millimetre, and where the plane begins, in pixels. */
  frame() {
    const { shape, voxelMm } = this.volume;
    const { width, height } = this.canvas;
    const size = [shape[this.u] * voxelMm[this.u], shape[this.v] * voxelMm[this.v]];
    const scale = Math.min(width / size[0], height / size[1]) * this.zoom;
    const left = (width - size[0] * scale) / 2 + this.pan[0] * scale;
    const top = (height - size[1] * scale) / 2 + this.pan[1] * scale;
    return { scale, left, top, size };
  }

  draw(at) {
    const { canvas, page } = this;
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
    this.paint(this.pixels.data, this.axis, Math.round(at[this.axis]));
    page.getContext("2d").putImageData(this.pixels, 0, 0);
    const pen = canvas.getContext("2d");
    const { scale, left, top, size } = this.frame();
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, wide, high);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(page, left, top, size[0] * scale, size[1] * scale);
    this.cross(pen, at);
    this.letters(pen, ratio);
    this.after?.(pen, ratio);
  }

  cross(pen, at) {
    const [x, y] = this.toScreen(at);
    pen.strokeStyle = "rgba(255, 221, 87, .75)";
    pen.lineWidth = 1;
    pen.beginPath();
    for (const [x0, y0, x1, y1] of [[0, y, x - 9, y], [x + 9, y, pen.canvas.width, y], [x, 0, x, y - 9], [x, y + 9, x, pen.canvas.height]]) {
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
    }
    pen.stroke();
  }

  letters(pen, ratio) {
    const [left, right, low, high] = LETTERS[this.axis];
    const { width, height } = pen.canvas;
    pen.font = `${13 * ratio}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.fillStyle = "#fff";
    for (const [letter, x, y] of [[left, 10 * ratio, height / 2], [right, width - 10 * ratio, height / 2], [high, width / 2, 11 * ratio], [low, width / 2, height - 11 * ratio]])
      pen.fillText(letter, x, y);
  }

  /** Centre of a voxel (fractions allowed) on the canvas, in its own pixels. */
  toScreen(at) {
    const { scale, left, top } = this.frame();
    const { shape, voxelMm } = this.volume;
    return [left + (at[this.u] + 0.5) * voxelMm[this.u] * scale, top + (shape[this.v] - at[this.v] - 0.5) * voxelMm[this.v] * scale];
  }

  /** Voxel under a place of the page (client pixels), on the slice of `at`; null outside. */
  toVoxel(event, at) {
    const box = this.canvas.getBoundingClientRect();
    const ratio = this.canvas.width / box.width;
    const { scale, left, top } = this.frame();
    const { shape, voxelMm } = this.volume;
    const voxel = [...at];
    voxel[this.u] = ((event.clientX - box.left) * ratio - left) / scale / voxelMm[this.u] - 0.5;
    voxel[this.v] = shape[this.v] - 0.5 - ((event.clientY - box.top) * ratio - top) / scale / voxelMm[this.v];
    const inside = [this.u, this.v].every((a) => voxel[a] > -0.5 && voxel[a] < shape[a] - 0.5);
    return inside ? voxel : null;
  }

  /** Zoom about a voxel, which stays where it is on the screen. */
  zoomBy(factor, about) {
    const before = this.toScreen(about);
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), 12);
    if (this.zoom === 1) { this.pan = [0, 0]; return; }
    const after = this.toScreen(about);
    const { scale } = this.frame();
    this.pan = this.pan.map((v, a) => v + (before[a] - after[a]) / scale);
  }
}

/** Paint grey by a table of 256 or more entries: `grey` to brightness. */
export function paintGrey(pixels, volume, axis, slice, table) {
  const [u, v] = IN_PLANE[axis];
  const { shape, grey } = volume;
  const strides = [1, shape[0], shape[0] * shape[1]];
  let out = 0;
  for (let b = shape[v] - 1; b >= 0; b--) {
    let n = slice * strides[axis] + b * strides[v];
    for (let a = 0; a < shape[u]; a++, n += strides[u], out += 4) {
      const light = table[grey[n]];
      pixels[out] = pixels[out + 1] = pixels[out + 2] = light;
      pixels[out + 3] = 255;
    }
  }
}

/** Brightness of each grey between the ends of a window. */
export function lightTable([low, high], levels = 4096) {
  const span = Math.max(high - low, 1);
  return Uint8Array.from({ length: levels }, (_, n) => Math.min(Math.max(((n - low) / span) * 255, 0), 255));
}

/** Blend a colour over the voxels of a mask; its rim is drawn solid. */
export function paintMask(pixels, drawing, axis, slice, [red, green, blue], opacity) {
  const [u, v] = IN_PLANE[axis];
  const { shape, bits, strides } = drawing;
  let out = 0;
  for (let b = shape[v] - 1; b >= 0; b--) {
    let n = slice * strides[axis] + b * strides[v];
    for (let a = 0; a < shape[u]; a++, n += strides[u], out += 4) {
      if (!bits[n]) continue;
      const rim = a === 0 || b === 0 || a === shape[u] - 1 || b === shape[v] - 1
        || !bits[n - strides[u]] || !bits[n + strides[u]] || !bits[n - strides[v]] || !bits[n + strides[v]];
      const share = rim ? Math.min(1, opacity + 0.45) : opacity;
      pixels[out] += (red - pixels[out]) * share;
      pixels[out + 1] += (green - pixels[out + 1]) * share;
      pixels[out + 2] += (blue - pixels[out + 2]) * share;
    }
  }
}
