// Surfaces in a NiiVue canvas: those of the page, and fibre and burns that follow the plan.
import { NVMesh } from "@niivue/niivue";
import { burnSurface, fibreSurface } from "./fibre.js";
import { unpacked } from "./data.js";

const HEADER_BYTES = 16;
export const PLAN_COLOURS = { fibre: [255, 255, 255, 255], planned: [23, 179, 201, 255] };

export function surfaceMesh(view, name, { points, faces }, rgba, shader) {
  const solid = new Uint8Array([...rgba.slice(0, 3), 255]);
  const mesh = new NVMesh(points, faces, name, solid, rgba[3] / 255, true, view.gl);
  mesh.meshShaderIndex = view.meshShaderNameToNumber(shader);
  return mesh;
}

/** Read the page's own MZ3: header, int32 faces, float32 vertices. */
export async function embeddedSurface(id) {
  const bytes = await unpacked(id);
  const view = new DataView(bytes);
  const [faces, vertices] = [view.getUint32(4, true), view.getUint32(8, true)];
  return {
    faces: new Uint32Array(bytes, HEADER_BYTES, 3 * faces),
    points: new Float32Array(bytes, HEADER_BYTES + 12 * faces, 3 * vertices),
  };
}

/** Fibre and burns of the plan in one canvas. */
export class PlanSurfaces {
  constructor(view, opacity, shader) {
    this.view = view;
    this.opacity = opacity;
    this.shader = shader;
    this.meshes = {};
    this.shown = { fibre: true, planned: true };
  }

  draw(plan) {
    const surfaces = { fibre: fibreSurface(plan), planned: burnSurface(plan) };
    for (const [name, surface] of Object.entries(surfaces)) {
      const old = this.meshes[name];
      const rgba = [...PLAN_COLOURS[name].slice(0, 3), Math.round(255 * this.opacity[name])];
      const mesh = surfaceMesh(this.view, name, surface, rgba, this.shader);
      mesh.visible = this.shown[name];
      // The library's own way to add a mesh draws every volume anew, which takes seconds
      // without a graphics card.
      this.view.meshes = [mesh, ...this.view.meshes.filter((other) => other !== old)];
      old?.unloadMesh(this.view.gl);
      this.meshes[name] = mesh;
    }
    this.view.drawScene();
  }

  show(name, on) {
    this.shown[name] = on;
    if (this.meshes[name]) this.meshes[name].visible = on;
    this.view.drawScene();
  }
}
