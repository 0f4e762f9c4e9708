// The whole track seen from each plane, as a thin line: a slice shows only where it crosses it.
import { PLAN_COLOURS } from "./surfaces.js";

/** Axes across and up of the axial, coronal and sagittal plane, by the library's numbers. */
const AXES = [[0, 1], [0, 2], [1, 2]];
const WIDTH_PX = 1.5;
const OPACITY = 0.6;

/** Canvas pixels of a place as a plane's tile shows it; a mirrored tile has a negative width. */
export function onTile(tile, mm) {
  const [left, top, width, height] = tile.leftTopWidthHeight;
  const [across, up] = AXES[tile.axCorSag].map((axis, n) => (mm[axis] - tile.leftTopMM[n]) / tile.fovMM[n]);
  return [left + across * width, top + (1 - up) * height];
}

export class ProjectedTrack {
  constructor(view) {
    this.view = view;
    this.shown = true;
    const core = view.drawSceneCore.bind(view);
    view.drawSceneCore = () => {
      const said = core();
      this.lines();
      return said;
    };
  }

  draw(plan) {
    this.plan = plan;
    this.view.drawScene();
  }

  show(name, on) {
    if (name !== "fibre") return;
    this.shown = on;
    this.view.drawScene();
  }

  lines() {
    if (!this.plan || !this.shown) return;
    const { gl } = this.view;
    const colour = [...PLAN_COLOURS.fibre.slice(0, 3).map((v) => v / 255), OPACITY];
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.disable(gl.DEPTH_TEST);
    gl.enable(gl.BLEND);
    gl.enable(gl.SCISSOR_TEST);
    for (const tile of this.view.screenSlices.filter(({ axCorSag }) => axCorSag < AXES.length)) {
      const [left, top, width, height] = tile.leftTopWidthHeight;
      gl.scissor(Math.min(left, left + width), gl.canvas.height - top - height, Math.abs(width), height);
      const ends = ["entry", "target"].flatMap((end) => onTile(tile, this.plan[end]));
      this.view.drawLine(ends, WIDTH_PX * devicePixelRatio, colour);
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.enable(gl.DEPTH_TEST);
  }
}
