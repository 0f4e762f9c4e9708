// The 3D view: surfaces of brain and targets with the fibre; never skin.
import { Niivue, SLICE_TYPE } from "@niivue/niivue";
import { holdBack } from "./frames.js";
import { embeddedSurface, surfaceMesh } from "./surfaces.js";

const TURN = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };

export class Space {
  constructor(canvas, surfaces, azimuth) {
    this.canvas = canvas;
    this.surfaces = surfaces;
    this.azimuth = azimuth;
    this.meshes = {};
    this.view = new Niivue({
      backColor: [0.06, 0.07, 0.09, 1], dragAndDropEnabled: false, loadingText: "",
      logLevel: "error", show3Dcrosshair: false,
    });
  }

  async start() {
    this.ownKeys();
    holdBack(this.view);
    await this.view.attachToCanvas(this.canvas, false);
    this.view.setSliceType(SLICE_TYPE.RENDER);
    for (const { id, name, rgba } of this.surfaces)
      this.meshes[name] = surfaceMesh(this.view, name, await embeddedSurface(id), rgba, "Phong");
    this.view.meshes = Object.values(this.meshes);
    this.view.updateGLVolume();
    this.view.setRenderAzimuthElevation(this.azimuth, 15);
  }

  ownKeys() {
    const keys = (event) => {
      event.stopImmediatePropagation();
      const turn = TURN[event.key];
      if (event.type !== "keydown" || !turn) return;
      event.preventDefault();
      const { renderAzimuth, renderElevation } = this.view.scene;
      this.view.setRenderAzimuthElevation(renderAzimuth + turn[0], renderElevation + turn[1]);
    };
    this.canvas.addEventListener("keydown", keys);
    this.canvas.addEventListener("keyup", keys);
  }

  show(name, on) {
    if (!this.meshes[name]) return;
    this.meshes[name].visible = on;
    this.view.drawScene();
  }
}
