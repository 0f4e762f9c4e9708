// What the page carries: JSON, and arrays packed as gzip in base64.

export const element = (id) => document.getElementById(id);

/** Make an element with properties, data attributes and children. */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  const { dataset, ...plain } = properties;
  Object.assign(made, plain);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

export const readSetup = () => JSON.parse(element("falx-setup").textContent);

/** Bytes of an embedded array. */
export async function unpacked(id) {
  const text = atob(element(id).textContent.trim());
  const packed = new Uint8Array(text.length);
  for (let n = 0; n < text.length; n++) packed[n] = text.charCodeAt(n);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const KINDS = {
  voxels: Uint16Array, kinds: Uint8Array, entries: Float32Array, outward: Float32Array, sinus: Float32Array,
  clearance: Uint8Array, protected: Uint8Array, exempt: Uint8Array, vessel: Uint8Array,
  ends: Float32Array, radii: Float32Array, pickEnds: Float32Array, pickRadii: Float32Array,
  template: Float32Array,
};

/** The planner's scene: grids and limits from the setup, arrays from the page; some may be absent. */
export async function readScene(setup) {
  const found = {};
  await Promise.all(Object.entries(KINDS).map(async ([name, Kind]) => {
    if (element(`falx-${name}`)) found[name] = new Kind(await unpacked(`falx-${name}`));
  }));
  return sceneOf(setup, found);
}

/** The scene as the rules take it, from plain setup and arrays. */
export function sceneOf(setup, arrays) {
  const { clearance, protected: guarded, exempt, vessel, ends, radii, pickEnds, pickRadii, template, ...rest } = arrays;
  return {
    ...setup, ...rest,
    fields: { ...setup.fields, clearance, protected: guarded, exempt, vessel },
    draws: ends ? { ends, radii } : null,
    picks: pickEnds ? { ends: pickEnds, radii: pickRadii } : null,
    template: template ? { ...setup.templateGrid, points: template } : null,
  };
}
