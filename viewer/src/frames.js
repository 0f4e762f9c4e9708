// When the canvases are drawn: not before all is there, and then once a frame at most.

/** Call an action at most once a frame, with the last value, however fast a slider moves. */
export function onceAFrame(action) {
  let asked = null;
  return (value) => {
    if (asked === null) requestAnimationFrame(() => { const last = asked.value; asked = null; action(last); });
    asked = { value };
  };
}

/** Hold back every drawing of a canvas until it is released. */
export function holdBack(view) {
  view.isBusy = true;
  view.drawScene = onceAFrame(view.drawScene.bind(view));
}

/** Draw what was held back, and wait until the canvas shows it. */
export async function release(view) {
  view.isBusy = false;
  view.drawScene();
  await new Promise(requestAnimationFrame);
  const { gl } = view;
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
}
