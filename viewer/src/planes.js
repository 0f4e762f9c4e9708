// The three linked planes.
import { NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";
import { unpacked } from "./data.js";
import { holdBack } from "./frames.js";

const STEPS = {
  ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
  PageUp: [0, 0, 1], PageDown: [0, 0, -1],
};
/** Half thickness of the slab in which fibre and burns are drawn on a plane, mm. */
const SLAB_MM = 0.8;

export class Planes {
  constructor(canvas, layers) {
    this.canvas = canvas;
    this.layers = layers;
    this.listeners = [];
    this.view = new Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.7], crosshairGap: 6, crosshairWidth: 1,
      dragAndDropEnabled: false, fontColor: [1, 1, 1, 1], fontMinPx: 20, isSliceMM: true,
      loadingText: "", logLevel: "error", meshThicknessOn2D: SLAB_MM,
      show3Dcrosshair: false, showAllOrientationMarkers: true,
    });
  }

  async start(centre) {
    this.ownKeys();
    this.ownWheel();
    holdBack(this.view);
    await this.view.attachToCanvas(this.canvas, false);
    withoutGradients(this.view);
    this.view.setSliceType(SLICE_TYPE.MULTIPLANAR);
    this.volumes = await Promise.all(this.layers.map((layer) => this.volume(layer)));
    this.view.back = this.volumes[0];
    this.view.onLocationChange = (place) => this.moved(place);
    this.arrange();
    this.view.refreshLayers(this.volumes[0], 0);
    this.drawOverlays();
    this.middle = Array.from(this.view.frac2mm([0.5, 0.5, 0.5])).slice(0, 3);
    this.goTo(centre);
  }

  async volume(layer) {
    if (layer.rgb) {
      const [R, G, B] = layer.rgb.map((value) => [value, value]);
      this.view.addColormap(layer.colormap, { R, G, B, A: [0, 255], I: [0, 255] });
    }
    const file = new File([await unpacked(layer.id)], `${layer.name}.nii`);
    return NVImage.loadFromFile({
      file, name: `${layer.name}.nii`, colormap: layer.colormap,
      opacity: layer.shown ? layer.opacity : 0, cal_min: layer.low, cal_max: layer.high,
    });
  }

  /** Arrows and page keys move the crosshair by a millimetre, by five with Shift. */
  ownKeys() {
    const keys = (event) => {
      event.stopImmediatePropagation();
      const step = STEPS[event.key];
      if (event.type !== "keydown" || !step) return;
      event.preventDefault();
      const size = event.shiftKey ? 5 : 1;
      this.goTo(this.place().map((v, a) => v + size * step[a]));
    };
    this.canvas.addEventListener("keydown", keys);
    this.canvas.addEventListener("keyup", keys);
  }

  /** The wheel moves through the slices of the plane under it; with Ctrl it zooms. */
  ownWheel() {
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      const steps = -Math.sign(event.deltaY);
      if (event.ctrlKey) this.zoom(steps > 0 ? 1.15 : 1 / 1.15);
      else this.slice(event, steps);
    }, { capture: true, passive: false });
  }

  slice(event, steps) {
    const scale = this.canvas.width / this.canvas.clientWidth;
    const tile = this.view.tileIndex(event.offsetX * scale, event.offsetY * scale);
    if (tile < 0) return;
    const axis = { 0: 2, 1: 1, 2: 0 }[this.view.screenSlices[tile].axCorSag];
    if (axis === undefined) return;
    this.goTo(this.place().map((v, a) => (a === axis ? v + steps : v)));
  }

  zoom(factor) {
    const [x, y, z, now] = this.view.scene.pan2Dxyzmm;
    const next = Math.min(Math.max(now * factor, 1), 8);
    // What is larger stays centred on the crosshair.
    const middle = this.place();
    const pan = next === 1 ? [0, 0, 0] : middle.map((v, a) => this.middle[a] - v);
    this.view.setPan2Dxyzmm([...(next === now ? [x, y, z] : pan), next]);
  }

  place() {
    return Array.from(this.view.frac2mm(this.view.scene.crosshairPos)).slice(0, 3);
  }

  goTo(mm) {
    this.view.scene.crosshairPos = this.view.mm2frac(mm);
    this.view.createOnLocationChange();
    this.view.drawScene();
  }

  moved(place) {
    const mm = Array.from(place.mm).slice(0, 3);
    const found = new Map(place.values.map(({ id, value }) => [id, value]));
    const values = this.layers.map(({ sign }, n) => found.get(this.volumes[n].id) * (sign ?? 1));
    for (const listener of this.listeners) listener(mm, values);
  }

  show(name, on) {
    const n = this.number(name);
    this.volumes[n].opacity = on ? this.layers[n].opacity : 0;
    this.refresh(n);
  }

  /** How opaque a layer is when it is shown. */
  opacity(name, value) {
    const n = this.number(name);
    this.layers[n].opacity = value;
    if (this.volumes[n].opacity > 0) {
      this.volumes[n].opacity = value;
      this.refresh(n);
    }
  }

  /** Colours of a map, 256 times red, green, blue and opacity. */
  colours(colormap) {
    return Array.from(this.view.colormap(colormap));
  }

  threshold(name, low) {
    const n = this.number(name);
    this.volumes[n].cal_min = low;
    this.refresh(n);
  }

  radiological(on) {
    this.view.opts.isRadiologicalConvention = on;
    this.view.drawScene();
  }

  number(name) {
    return this.layers.findIndex((layer) => layer.name === name);
  }

  /** Put what is shown first: the library draws every overlay, seen or not, and that takes long. */
  arrange() {
    const [back, ...overlays] = this.volumes;
    const seen = overlays.filter((volume) => volume.opacity > 0);
    const unseen = overlays.filter((volume) => volume.opacity === 0);
    // With no overlay at all the library would leave the last one standing.
    this.view.overlays = seen.length ? seen : unseen.slice(0, 1);
    this.view.volumes = [back, ...seen, ...unseen];
    this.view.refreshColormaps();
  }

  drawOverlays() {
    this.view.overlays.forEach((overlay, k) => this.view.refreshLayers(overlay, k + 1));
  }

  /** Draw anew what a layer's change needs. */
  refresh(n) {
    this.arrange();
    if (n === 0) this.view.refreshLayers(this.volumes[0], 0);
    else this.drawOverlays();
    this.view.drawScene();
  }
}

/** Planes need no gradients, which the library computes for every background; a copy is cheap. */
function withoutGradients(view) {
  view.blurShader = view.passThroughShader;
  view.sobelFirstOrderShader = view.passThroughShader;
}
