// Switches of the layers, and the values under the crosshair.
import { element, make } from "./data.js";

/** One switch for each layer and surface; `show(name, on)` does what it says, and so do the others. */
export function layerPanel(entries, { show, threshold, opacity, colours }) {
  const panel = element("falx-layers");
  for (const entry of entries) {
    const box = make("input", { type: "checkbox", checked: entry.shown, dataset: { layer: entry.name } });
    box.addEventListener("change", () => show(entry.name, box.checked));
    const label = make("label", {}, box);
    if (entry.rgb) {
      const sample = make("span", { className: "falx-sample" });
      sample.style.backgroundColor = `rgb(${entry.rgb.join(",")})`;
      label.append(sample);
    }
    label.append(` ${entry.title}`);
    const row = make("div", { className: "falx-layer" }, label);
    if (entry.opacity !== undefined && entry.name !== "t1w") label.append(opacitySlider(entry, opacity));
    if (entry.threshold) row.append(colourBar(entry, colours(entry.colormap)), thresholdSlider(entry, threshold));
    panel.append(row);
  }
}

/** How opaque a layer is drawn, beside its name. */
function opacitySlider(layer, opacity) {
  const slider = make("input", {
    type: "range", min: 0.1, max: 1, step: 0.05, value: layer.opacity, className: "falx-opacity",
    dataset: { opacity: layer.name }, title: "opacity",
  });
  slider.setAttribute("aria-label", `opacity of ${layer.title}`);
  slider.addEventListener("change", () => opacity(layer.name, Number(slider.value)));
  return slider;
}

/** The colours of a map with the values at their ends and their unit. */
function colourBar(layer, colours) {
  const bar = make("span", { className: "falx-bar" });
  const stops = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((n) => `rgb(${colours.slice(4 * n, 4 * n + 3).join(",")})`);
  bar.style.backgroundImage = `linear-gradient(to right, ${stops.join(",")})`;
  const text = (value) => Number(((layer.sign ?? 1) * value).toPrecision(3)).toLocaleString("en");
  return make("div", { className: "falx-legend", dataset: { bar: layer.name } },
    text(layer.low), bar, `${text(layer.high)} ${layer.unit}`);
}

function thresholdSlider(layer, threshold) {
  const text = (value) => (layer.sign === -1 ? `up to ${(-value).toFixed(2)}` : `from ${Number(value.toPrecision(3))}`);
  const slider = make("input", {
    type: "range", min: 0, max: layer.high, step: layer.high / 100, value: layer.low,
    dataset: { threshold: layer.name },
  });
  slider.setAttribute("aria-label", `threshold of ${layer.title}`);
  const value = make("output", {}, text(layer.low));
  slider.addEventListener("input", () => { value.textContent = text(Number(slider.value)); });
  slider.addEventListener("change", () => threshold(layer.name, Number(slider.value)));
  return make("div", {}, slider, value);
}

/** Show place and values; keep them as data for whoever reads the page by program. */
export function showValues(layers, mm, values) {
  const field = element("falx-values");
  const [x, y, z] = mm;
  const place = `${Math.abs(x).toFixed(1)} ${x < 0 ? "L" : "R"}, `
    + `${Math.abs(y).toFixed(1)} ${y < 0 ? "P" : "A"}, ${Math.abs(z).toFixed(1)} ${z < 0 ? "I" : "S"} mm`;
  const found = Object.fromEntries(layers.map((layer, n) => [layer.name, values[n]]));
  for (const { name, valuesOf } of layers) {
    if (!valuesOf) continue;
    found[valuesOf] = found[name];
    delete found[name];
  }
  const listed = layers.filter(({ valuesOf }) => !valuesOf).map(({ name, title, rgb }) =>
    `${title}: ${rgb ? (found[name] > 0.5 ? "yes" : "no") : Number(found[name].toPrecision(4))}`);
  field.textContent = [place, ...listed].join("  ·  ");
  field.dataset.mm = JSON.stringify(mm);
  field.dataset.values = JSON.stringify(found);
}
