// The page Look: is an image in register with the T1w? If not, it is put there by hand.
import { onceAFrame } from "../frames.js";
import { Refusal, alarm, get, guarded, make, post, say } from "./api.js";
import { middle, nudged, planeThrough, share } from "./compose.js";
import { IN_PLANE } from "./drawing.js";
import { SliceView, apply, lightTable, words } from "./slices.js";
import { greys } from "./transfer.js";

const element = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const SQUARES = 12;
const STEP = 0.5;
const VERDICTS = {
  "": ["not looked at", ""], right: ["right", "good"], outdated: ["found right before it changed", "warn"],
  nudged: ["nudged, waits for a run", "warn"], used: ["set by hand", "good"],
};
const state = { pairs: [], pair: null, head: null, image: null, at: [0, 0, 0], move: [0, 0, 0], turn: [0, 0, 0], nudging: false };
let views = [];
let tables = [];
let opening = 0;

const inputs = () => [...document.querySelectorAll("#nudge input[type=number]")];
const how = () => document.querySelector("input[name=how]:checked").value;

async function start() {
  const { patients } = await get("/api/draw/patients");
  if (!patients.length) throw new Refusal("There is no patient yet. Import one first.", 0);
  element("patient").replaceChildren(...patients.map((one) => make("option", { value: one }, `sub-${one}`)));
  if (patients.includes(asked.get("patient"))) element("patient").value = asked.get("patient");
  controls();
  await patientChosen(asked.get("pair"));
}

async function patientChosen(wanted) {
  const subject = element("patient").value;
  const { pairs } = await get(`/api/look/pairs/${subject}`);
  if (!pairs.length) throw new Refusal("This patient has no image that is registered to the T1w.", 0);
  state.pairs = pairs;
  state.head = null;
  element("pair").replaceChildren(...pairs.map((one) => make("option", { value: one.role }, one.title)));
  const first = pairs.find((one) => one.role === wanted) ?? pairs.find((one) => one.matrix && !one.decided) ?? pairs[0];
  element("pair").value = first.role;
  await pairChosen();
}

async function pairChosen() {
  const mine = ++opening;
  const subject = element("patient").value;
  const pair = state.pairs.find((one) => one.role === element("pair").value);
  element("desk").dataset.ready = "no";
  judged(pair);
  if (!pair.matrix) {
    element("desk").hidden = true;
    throw new Refusal(`${pair.title}: ${pair.why}.`, 0);
  }
  const [head, image] = await Promise.all([
    state.head ?? greys("/api/look/grey", { subject, role: "head" }),
    greys("/api/look/grey", { subject, role: pair.role }),
  ]);
  if (mine !== opening) return;
  const fresh = state.head !== head;
  Object.assign(state, { head, image, pair });
  if (fresh) state.at = head.shape.map((n) => Math.floor(n / 2));
  element("bright-head").value = head.window[1];
  element("bright-image").value = image.window[1];
  element("colour").checked = pair.role === "pet";
  element("desk").hidden = false;
  back();
  lights();
  planes();
  redraw();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  element("desk").dataset.ready = "yes";
}

/** What was said of the registration, and what can be said now. */
function judged(pair) {
  const [text, colour] = VERDICTS[pair.decided];
  element("verdict").textContent = text;
  element("verdict").className = `tag ${colour}`;
  element("verdict").dataset.decided = pair.decided;
  element("right").disabled = !pair.matrix || pair.decided === "nudged";
  element("wrong").disabled = !pair.matrix;
  element("forget").hidden = !["nudged", "used"].includes(pair.decided);
  element("again").hidden = pair.decided !== "nudged";
  element("said").hidden = !pair.notices.length;
  element("said").textContent = pair.notices.join(" ");
}

function planes() {
  if (views.length) {
    views.forEach((view) => { view.volume = state.head; view.asPlane(view.axis); view.zoom = 1; view.pan = [0, 0]; });
    return;
  }
  views = [["axial", 2], ["coronal", 1], ["sagittal", 0]].map(([id, axis]) => {
    const view = new SliceView(element(id), axis, state.head, paint);
    view.changed = redraw;
    hand(view);
    return view;
  });
}

const matrix = () => nudged(state.pair.matrix, state.move, state.turn, middle(state.head));

function paint(pixels, axis, slice) {
  const { head, image } = state;
  const [u, v] = IN_PLANE[axis];
  const [nu, nv] = [head.shape[u], head.shape[v]];
  const over = planeThrough(head, image, matrix(), axis, slice);
  const [mode, amount, colour] = [how(), Number(element("amount").value), element("colour").checked];
  const square = Math.max(4, Math.round(Math.max(nu, nv) / SQUARES));
  const strides = [1, head.shape[0], head.shape[0] * head.shape[1]];
  for (let b = 0, n = 0; b < nv; b++)
    for (let a = 0; a < nu; a++, n++) {
      const part = share(mode, amount, a, b, nu, square);
      const below = tables[0][head.grey[slice * strides[axis] + a * strides[u] + (nv - 1 - b) * strides[v]]];
      const light = tables[1][Math.round(over[n])];
      const shown = colour ? [Math.min(255, light * 2), Math.max(0, light * 1.6 - 100), Math.max(0, light * 2 - 255)] : [light, light, light];
      for (let k = 0; k < 3; k++) pixels[4 * n + k] = below * (1 - part) + shown[k] * part;
      pixels[4 * n + 3] = 255;
    }
}

const redraw = onceAFrame(() => {
  if (!state.image || element("desk").hidden) return;
  const began = performance.now();
  for (const view of views) view.draw(state.at);
  element("place").textContent = words(apply(state.head.affine, state.at));
  element("place").dataset.at = JSON.stringify(state.at);
  element("place").dataset.matrix = JSON.stringify(matrix());
  element("place").dataset.drawMs = (performance.now() - began).toFixed(1);
});

function lights() {
  tables = ["head", "image"].map((name) => lightTable([0, Number(element(`bright-${name}`).value)]));
  for (const name of ["head", "image"]) {
    const { low, step } = state[name];
    element(`bright-${name}`).previousElementSibling.textContent = Number((low + step * element(`bright-${name}`).value).toPrecision(3));
  }
  element("amount-name").textContent = { swipe: "line at", opacity: "opacity", checks: "squares" }[how()];
  element("amount").disabled = how() === "checks";
  element("amount-said").textContent = how() === "checks" ? "" : `${Math.round(100 * element("amount").value)} %`;
  redraw();
}

function shown() {
  for (const input of inputs()) {
    const [list, n] = input.dataset.move ? [state.move, input.dataset.move] : [state.turn, input.dataset.turn];
    input.value = Number(list[n].toFixed(2));
  }
  redraw();
}

function back() {
  state.move = [0, 0, 0];
  state.turn = [0, 0, 0];
  nudging(false);
  shown();
}

function nudging(on) {
  state.nudging = on;
  element("nudge").hidden = !on;
  element("wrong").hidden = on;
}

/** Whole steps of the axes of the T1w, in the world's directions. */
function moveBy(axis, mm) {
  const column = [0, 1, 2].map((r) => state.head.affine[r][axis]);
  const size = Math.hypot(...column);
  state.move = state.move.map((v, r) => v + (mm * column[r]) / size);
  shown();
}

function hand(view) {
  const { canvas } = view;
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = view.toVoxel(event, state.at);
    if (last && !state.nudging) follow(event);
  });
  const follow = (event) => {
    const voxel = view.toVoxel(event, state.at);
    if (!voxel) return;
    if (state.nudging && last) {
      for (const axis of [view.u, view.v]) moveBy(axis, (voxel[axis] - last[axis]) * state.head.voxelMm[axis]);
      last = voxel;
      return;
    }
    state.at = voxel.map((v, a) => Math.min(Math.max(Math.round(v), 0), state.head.shape[a] - 1));
    redraw();
  };
  canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) follow(event); });
  canvas.addEventListener("pointerup", () => { last = null; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) view.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, view.toVoxel(event, state.at) ?? state.at);
    else step(view.axis, -Math.sign(event.deltaY));
    redraw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => key(event, view));
}

function step(axis, by) {
  state.at = state.at.map((v, a) => (a === axis ? Math.min(Math.max(v + by, 0), state.head.shape[a] - 1) : v));
  redraw();
}

const MODES = { s: "swipe", c: "checks", o: "opacity" };

function key(event, view) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const way = { ArrowLeft: [view.u, -1], ArrowRight: [view.u, 1], ArrowUp: [view.v, 1], ArrowDown: [view.v, -1] }[event.key];
  const page = { PageUp: 1, PageDown: -1 }[event.key];
  const mode = MODES[event.key.toLowerCase()];
  if (!way && !page && !mode) return;
  event.preventDefault();
  if (page) step(view.axis, page);
  else if (mode) {
    document.querySelector(`input[name=how][value=${mode}]`).checked = true;
    lights();
  } else if (!state.nudging) step(...way);
  else if (event.shiftKey) {
    // Turning to the right on the screen; across y that is the other way round than across x and z.
    const sign = view.axis === 1 ? 1 : -1;
    state.turn[view.axis] += sign * STEP * way[1];
    shown();
  } else moveBy(way[0], STEP * way[1]);
}

async function decide(verdict) {
  const { pair } = state;
  const changed = await post("/api/look/decide", {
    subject: element("patient").value, role: pair.role, matrix_blake2b: pair.matrix_blake2b, verdict,
    translation_mm: state.move, rotation_deg: state.turn, refine: element("refine").checked,
  });
  state.pairs = state.pairs.map((one) => (one.role === changed.role ? changed : one));
  state.pair = changed;
  judged(changed);
  say({
    right: `${pair.title}: found right.`,
    nudge: `${pair.title}: the nudge is stored. What rests on the old registration is outdated until it is run again.`,
    forget: `${pair.title}: the nudge is forgotten; the next run registers by itself.`,
  }[verdict]);
  if (verdict === "nudge") nudging(false);
  if (verdict !== "right") element("again").hidden = false;
}

async function again() {
  const run = await post("/api/runs", { level: "participant", labels: [element("patient").value] });
  location.assign(`/run#${encodeURIComponent(run.run.id)}`);
}

function controls() {
  element("what").addEventListener("submit", (event) => event.preventDefault());
  element("patient").addEventListener("change", () => guarded(patientChosen));
  element("pair").addEventListener("change", () => guarded(pairChosen));
  for (const id of ["amount", "bright-head", "bright-image", "colour"]) element(id).addEventListener("input", lights);
  for (const radio of document.querySelectorAll("input[name=how]")) radio.addEventListener("change", lights);
  for (const input of inputs())
    input.addEventListener("input", () => {
      const [list, n] = input.dataset.move ? [state.move, input.dataset.move] : [state.turn, input.dataset.turn];
      list[n] = Number.isFinite(input.valueAsNumber) ? input.valueAsNumber : 0;
      redraw();
    });
  const press = (id, work) => element(id).addEventListener("click", () => guarded(async () => work()));
  press("right", () => decide("right"));
  press("wrong", () => { nudging(true); element("axial").focus(); });
  press("forget", () => decide("forget"));
  press("store", () => decide("nudge"));
  press("zero", back);
  press("again", again);
}

start().catch(alarm);
