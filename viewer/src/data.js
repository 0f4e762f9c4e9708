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

/** The planner's scene: grids and limits from the setup, arrays from the page. */
export async function readScene(setup) {
  const [voxels, kinds, entries, outward, sinus, clearance, guarded, exempt] = await Promise.all(
    ["voxels", "kinds", "entries", "outward", "sinus", "clearance", "protected", "exempt"].map(
      (name) => unpacked(`falx-${name}`),
    ),
  );
  return {
    ...setup,
    voxels: new Uint16Array(voxels),
    kinds: new Uint8Array(kinds),
    entries: new Float32Array(entries),
    outward: new Float32Array(outward),
    sinus: new Float32Array(sinus),
    fields: {
      ...setup.fields,
      clearance: new Uint8Array(clearance),
      protected: new Uint8Array(guarded),
      exempt: new Uint8Array(exempt),
    },
  };
}
