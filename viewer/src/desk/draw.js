// The page Draw: one mask on one image of a patient.
import { onceAFrame } from "../frames.js";
import { Refusal, alarm, get, guarded, make, post, say } from "./api.js";
import { Drawing } from "./drawing.js";
import { duration, followed } from "./followed.js";
import { PLANES, SliceView, apply, lightTable, paintGrey, paintMask, words } from "./slices.js";
import { carry, greys, packed, unpacked } from "./transfer.js";

const element = (id) => document.getElementById(id);
const COLOUR = [255, 140, 0];
const FURTHEST_MM = 20;
const RETRY_MS = 2000;
const asked = new URLSearchParams(location.search);

/** Which window this is, for its drafts; a reloaded page is the same, a duplicated one is not. */
function thisWindow() {
  const again = performance.getEntriesByType("navigation")[0]?.type === "reload";
  let name = again ? sessionStorage.getItem("falx-window") : null;
  if (!name) {
    name = Array.from(crypto.getRandomValues(new Uint8Array(8)), (b) => b.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem("falx-window", name);
  }
  return name;
}

const state = {
  window: thisWindow(), target: null, volume: null, drawing: null, base: "", proposal: null,
  at: [0, 0, 0], plane: 2, shown: true, unsaved: false, from: "", keeping: null, again: false, times: [],
  images: [], making: null,
};
let views = [];
let table = lightTable([0, 4095]);
/** Counts what was opened, so that a slow answer for another image is left alone. */
let opening = 0;

function fill(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, title]) => make("option", { value }, title)));
  if (entries.some(([value]) => value === chosen)) select.value = chosen;
}

async function start() {
  const { patients } = await get("/api/draw/patients");
  if (!patients.length) throw new Refusal("There is no patient yet. Import one first.", 0);
  fill(element("patient"), patients.map((one) => [one, `sub-${one}`]), asked.get("patient"));
  controls();
  await patientChosen();
}

async function patientChosen() {
  const { images, kinds } = await get(`/api/draw/images/${element("patient").value}`);
  if (!images.length) throw new Refusal("This patient has no image to draw on.", 0);
  state.images = images;
  fill(element("image"), images.map((one) => [one.path, one.title]), asked.get("image"));
  fill(element("label"), [...kinds.map((k) => [k.label, k.title]), ["", "something else"]], element("label").value || asked.get("label"));
  await targetChosen();
}

function targetOf() {
  const [rater, again] = element("rater").value.split(" ");
  return {
    subject: element("patient").value, image: element("image").value,
    label: element("label").value || element("other").value, rater, repeat: Boolean(again),
  };
}

async function targetChosen() {
  element("other-row").hidden = element("label").value !== "";
  const target = targetOf();
  if (!target.label) return;
  await settled();
  const mine = ++opening;
  element("desk").dataset.ready = "no";
  element("save").disabled = true;
  element("conflict").hidden = true;
  say("");
  const found = await post("/api/draw/open", target);
  const sameImage = state.target?.image === target.image && state.target?.subject === target.subject;
  const volume = sameImage ? state.volume : await greys("/api/draw/grey", target);
  if (mine !== opening) return;
  const fresh = state.volume !== volume;
  Object.assign(state, { target, volume });
  if (fresh) imageShown();
  const [newest] = found.drafts;
  await begin(newest ? "draft" : found.digest ? "saved" : "empty", newest?.window);
  begun(found, newest);
}

/** Say from what the drawing went out, and offer the rest. */
function begun(found, newest) {
  const line = element("begun");
  line.hidden = true;
  element("propose").hidden = !found.proposal;
  const operated = state.images.find((one) => one.path === state.target.image)?.place;
  element("make").hidden = state.target.label !== "ablation" || !operated || found.proposal !== null;
  element("make-at").hidden = state.target.label !== "ablation" || !operated;
  void guarded(stillMaking);
  if (found.proposal && state.target.rater === "rater2") element("propose").title = "A second rater who begins from the same proposal agrees with it, not only with the first";
  if (newest) {
    const others = found.drafts.length > 1 ? ` There are ${found.drafts.length - 1} older drafts.` : "";
    const away = make("button", { type: "button", class: "quiet", onclick: () => guarded(() => discarded(newest, found.digest)) },
      found.digest ? "Discard it and take the saved mask" : "Discard it and begin empty");
    line.replaceChildren(`This is the draft of ${new Date(newest.updated).toLocaleString()}, which was not saved.${others} `, away);
    line.hidden = false;
  }
  if (!found.proposal && state.target.label === "ablation" && !found.digest && !newest) {
    line.textContent = `Begin empty: ${found.noProposal}`;
    line.hidden = false;
  }
}

/** Start `falx ablation`, at the crosshair or anywhere, and follow it. */
async function proposed(there) {
  const at = there ? apply(state.volume.affine, state.at) : [];
  follow(await post("/api/draw/propose", { target: state.target, at_mm: at }));
}

/** A proposal that was started before, in this window or another, is followed again. */
async function stillMaking() {
  const runs = await get("/api/runs");
  const found = runs.find((one) => one.state === "running" && one.run.level === "ablation" && one.run.labels[0] === state.target.subject);
  if (found) follow(found);
  else making(null);
}

function making(standing) {
  element("making").hidden = standing === null;
  for (const id of ["make", "make-at"]) element(id).disabled = standing !== null;
  if (standing !== null) element("making-said").textContent = `The ablation is being proposed, ${duration(standing.elapsed_s)} so far; drawing can go on.`;
}

function follow(standing) {
  state.making?.close();
  making(standing);
  const { subject } = state.target;
  element("making-end").onclick = () => guarded(() => post(`/api/runs/${standing.run.id}/cancel`));
  const here = () => state.target.subject === subject;  // another patient may be drawn meanwhile
  state.making = followed(standing, (latest) => here() && making(latest), (ended) => guarded(async () => {
    if (!here()) return;
    making(null);
    await made(ended);
  }));
}

/** Say how a proposal has ended; it becomes the drawing only when it is asked for. */
async function made(standing) {
  if (standing.state === "cancelled") { say("The proposal was cancelled."); return; }
  if (standing.state !== "finished") throw new Refusal(standing.progress.sentence || `The proposal was ${standing.state}; its log is on the page Run.`, 0);
  const found = await post("/api/draw/open", state.target);
  element("propose").hidden = !found.proposal;
  element("make").hidden = Boolean(found.proposal);
  const page = make("a", { href: `/view?page=${standing.pages[0]}`, target: "_blank" }, "Its page");
  element("status").replaceChildren(found.proposal ? "The proposal is there. Begin from it, and correct it. "
    : "Nothing was proposed: no change between the two images is clear enough. Put the crosshair into the ablation and ask again, or draw. ", standing.pages.length ? page : "");
}

async function discarded(draft, digest) {
  await forget(draft.window);
  element("begun").hidden = true;
  await begin(digest ? "saved" : "empty");
}

const forget = (window) => carry("DELETE", "/api/draw/draft", { target: state.target, kind: "draft", window });

/** Take what the drawing begins from. */
async function begin(kind, window = "") {
  const { about, bytes } = await carry("GET", "/api/draw/start", { target: state.target, kind, window });
  const bits = await unpacked(bytes);
  state.drawing = new Drawing(state.volume.shape, bits);
  state.base = about.base;
  state.proposal = about.proposal;
  state.unsaved = kind === "draft" || kind === "proposal";
  state.from = window;
  element("desk").hidden = false;
  element("desk").dataset.begun = kind;
  if (kind !== "empty") centre();
  changed();
  if (kind === "proposal") keep();
  await nextFrame();
  element("desk").dataset.ready = "yes";
}

const nextFrame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

/** Go to the middle of the mask. */
function centre() {
  const { bits, shape } = state.drawing;
  const sum = [0, 0, 0, 0];
  for (let n = 0; n < bits.length; n++)
    if (bits[n]) {
      sum[0] += n % shape[0];
      sum[1] += Math.floor(n / shape[0]) % shape[1];
      sum[2] += Math.floor(n / (shape[0] * shape[1]));
      sum[3] += 1;
    }
  if (sum[3]) state.at = [0, 1, 2].map((a) => Math.round(sum[a] / sum[3]));
}

function imageShown() {
  const { volume } = state;
  state.at = volume.shape.map((n) => Math.floor(n / 2));
  element("bright").value = volume.window[1];
  table = lightTable(volume.window);
  for (const id of ["from", "to"]) element(id).value = id === "to" ? 4095 : volume.window[1] >> 2;
  saidSliders();
  const paint = (pixels, axis, slice) => {
    paintGrey(pixels, volume, axis, slice, table);
    if (state.shown && state.drawing) paintMask(pixels, state.drawing, axis, slice, COLOUR, Number(element("opacity").value));
  };
  if (views.length) views.forEach((view) => { view.volume = volume; view.paint = paint; view.zoom = 1; view.pan = [0, 0]; });
  else {
    views = ["large", "first", "second"].map((id, n) => new SliceView(element(id), 2 - n, volume, paint));
    views.forEach((view, n) => {
      view.changed = redraw;
      hand(view, n === 0);
    });
  }
  planes();
}

function planes() {
  const others = [2, 1, 0].filter((axis) => axis !== state.plane);
  [state.plane, ...others].forEach((axis, n) => {
    views[n].asPlane(axis);
    views[n].zoom = 1;
    views[n].pan = [0, 0];
    views[n].canvas.dataset.plane = PLANES[axis];
  });
  redraw();
}

const redraw = onceAFrame(() => {
  if (!state.drawing || element("desk").hidden) return;
  for (const view of views) view.draw(state.at);
  const { volume, drawing, at } = state;
  const n = at[0] + drawing.strides[1] * at[1] + drawing.strides[2] * at[2];
  const value = volume.low + volume.step * volume.grey[n];
  element("place").textContent = `${words(apply(volume.affine, at))} · ${PLANES[state.plane]} ${at[state.plane] + 1} of ${volume.shape[state.plane]} · value ${Number(value.toPrecision(4))}`;
  element("place").dataset.at = JSON.stringify(at);
  timed();
});

/** How long a move of the brush takes until it is drawn; kept for whoever measures. */
function timed() {
  if (state.moved === undefined) return;
  state.times.push(performance.now() - state.moved);
  state.moved = undefined;
}

function changed() {
  const mm3 = state.drawing.count() * Math.abs(volumeOf(state.volume.voxelMm));
  element("volume").textContent = mm3 ? `${mm3.toFixed(0)} mm³` : "nothing drawn";
  element("volume").dataset.voxels = state.drawing.count();
  element("undo").disabled = !state.drawing.past.length;
  element("redo").disabled = !state.drawing.future.length;
  element("save").disabled = !state.unsaved || mm3 === 0;
  redraw();
}

const volumeOf = ([a, b, c]) => a * b * c;

/** A change by hand: show it, and keep it as a draft at once. */
function drawn() {
  state.unsaved = true;
  say("");
  changed();
  keep();
}

const draft = () => ({ target: state.target, window: state.window, base: state.base, proposal: state.proposal, updated: "" });

/** Keep a draft; what changes meanwhile is kept after it, and a desk that is gone is asked again. */
function keep() {
  state.again = true;
  element("kept").textContent = "keeping a draft …";
  element("kept").dataset.draft = "pending";
  state.keeping ??= keepAll().finally(() => { state.keeping = null; });
}

async function keepAll() {
  while (state.again) {
    state.again = false;
    const [about, bits] = [draft(), state.drawing.bits];
    try {
      await carry("PUT", "/api/draw/draft", about, await packed(bits));
      element("kept").textContent = "draft kept";
    } catch (error) {
      element("kept").textContent = `not kept yet: ${error.message}`;
      element("kept").dataset.draft = "failed";
      await new Promise((done) => setTimeout(done, RETRY_MS));
      state.again = true;
    }
  }
  element("kept").dataset.draft = "kept";
}

/** Wait until a draft that is on its way has arrived. */
async function settled() {
  if (state.keeping) await state.keeping;
}

async function save() {
  if (element("save").disabled) return;
  await settled();
  const about = draft();
  element("save").disabled = true;
  let answer;
  try {
    answer = await carry("POST", "/api/draw/save", about, await packed(state.drawing.bits));
  } catch (error) {
    element("save").disabled = false;
    if (error.code !== 409) throw error;
    conflict(error.message);
    return;
  }
  const found = answer.about;
  if (state.from && state.from !== state.window) await forget(state.from);
  state.from = "";
  state.base = found.digest;
  state.unsaved = false;
  element("begun").hidden = true;
  element("conflict").hidden = true;
  element("kept").textContent = "";
  const parts = [`Saved ${found.volume_mm3.toFixed(0)} mm³ as ${found.path}.`, found.agreement, ...found.notices];
  say(parts.filter(Boolean).join(" "));
  element("status").dataset.dice = found.dice ?? "";
  changed();
}

function conflict(text) {
  element("conflict-words").textContent = text;
  element("conflict").hidden = false;
  element("theirs").focus();
}

/** After a look, this drawing may replace what the other window saved. */
async function mine() {
  const found = await post("/api/draw/open", state.target);
  state.base = found.digest;
  element("conflict").hidden = true;
  await save();
}

async function theirs() {
  element("conflict").hidden = true;
  await begin("saved");
  say("This is the saved mask. Your own drawing is kept as a draft: open the page again to go on with it.");
}

async function between() {
  const about = { target: state.target, axis: state.plane, furthest_mm: FURTHEST_MM };
  const { about: found, bytes } = await carry("POST", "/api/draw/fill", about, await packed(state.drawing.bits));
  const done = state.drawing.take(await unpacked(bytes));
  if (done) drawn();
  say([`${found.slices} slices filled between drawn ${PLANES[state.plane]} slices.`, ...found.notices].join(" "));
}

function brush() {
  const found = {
    axis: state.plane, radiusMm: Number(element("radius").value), ball: element("ball").checked,
    value: tool() === "eraser" ? 0 : 1,
  };
  if (element("threshold").checked) {
    const [from, to] = [Number(element("from").value), Number(element("to").value)];
    const { grey } = state.volume;
    found.allows = (n) => grey[n] >= from && grey[n] <= to;
  }
  return found;
}

const tool = () => document.querySelector("input[name=tool]:checked").value;
const whole = (voxel) => voxel.map((v, a) => Math.min(Math.max(Math.round(v), 0), state.volume.shape[a] - 1));

/** Mouse, pen or finger on a plane. */
function hand(view, large) {
  const { canvas } = view;
  let last = null;
  const move = (event) => {
    const voxel = view.toVoxel(event, state.at);
    if (!voxel) return;
    state.at = whole(voxel);
    if (last && state.drawing.stroke) {
      state.moved ??= event.timeStamp;
      state.drawing.line(last, voxel, last.brush, state.volume.voxelMm);
      last = Object.assign(voxel, { brush: last.brush });
    }
    redraw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    const voxel = view.toVoxel(event, state.at);
    last = null;
    if (large) canvas.focus();
    if (large && voxel && tool() !== "cross") {
      last = Object.assign(voxel, { brush: brush() });
      state.drawing.begin();
      state.drawing.stamp(voxel, last.brush, state.volume.voxelMm);
    }
    move(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) move(one);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      last = null;
      if (state.drawing.stroke && state.drawing.end()) drawn();
      const times = [...state.times].sort((a, b) => a - b);
      canvas.dataset.latency = JSON.stringify({ n: times.length, median: times[times.length >> 1], most: times.at(-1) });
    });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) view.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, view.toVoxel(event, state.at) ?? state.at);
    else step(view.axis, -Math.sign(event.deltaY));
    redraw();
  }, { passive: false });
}

function step(axis, by) {
  state.at = state.at.map((v, a) => (a === axis ? Math.min(Math.max(v + by, 0), state.volume.shape[a] - 1) : v));
  redraw();
}

function stampHere() {
  state.drawing.begin();
  state.drawing.stamp(state.at, brush(), state.volume.voxelMm);
  if (state.drawing.end()) drawn();
}

function travel(way) {
  if (state.drawing[way]()) drawn();
}

const choose = (name, value) => {
  const radio = document.querySelector(`input[name=${name}][value="${value}"]`);
  radio.checked = true;
  radio.dispatchEvent(new Event("change"));
};
const slide = (id, by) => {
  element(id).value = Number(element(id).value) + by;
  saidSliders();
};
const ACTIONS = {
  b: () => choose("tool", "brush"), e: () => choose("tool", "eraser"), c: () => choose("tool", "cross"),
  t: () => element("threshold").click(), f: () => element("outline").click(), g: () => element("between").click(),
  z: () => travel("undo"), y: () => travel("redo"), m: () => { state.shown = !state.shown; redraw(); },
  1: () => choose("plane", 2), 2: () => choose("plane", 1), 3: () => choose("plane", 0),
  "[": () => slide("radius", -0.5), "]": () => slide("radius", 0.5), " ": stampHere,
  "+": () => zoomed(1.2), "=": () => zoomed(1.2), "-": () => zoomed(1 / 1.2),
};
const zoomed = (factor) => { views[0].zoomBy(factor, state.at); redraw(); };

function keys(event) {
  if (!state.drawing) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    const action = { z: () => travel(event.shiftKey ? "redo" : "undo"), y: () => travel("redo"), s: () => guarded(save) }[key];
    if (!action) return;
    event.preventDefault();
    action();
    return;
  }
  if (event.target !== element("large") || event.altKey) return;
  const [u, v] = [views[0].u, views[0].v];
  const by = event.shiftKey ? 5 : 1;
  const move = { ArrowLeft: [u, -by], ArrowRight: [u, by], ArrowUp: [v, by], ArrowDown: [v, -by], PageUp: [state.plane, by], PageDown: [state.plane, -by] }[event.key];
  if (!move && !ACTIONS[key]) return;
  event.preventDefault();
  if (move) step(...move);
  else ACTIONS[key]();
}

function saidSliders() {
  const { volume } = state;
  element("radius-said").textContent = `${element("radius").value} mm`;
  element("opacity-said").textContent = `${Math.round(100 * element("opacity").value)} %`;
  if (!volume) return;
  const value = (id) => Number((volume.low + volume.step * element(id).value).toPrecision(3));
  for (const id of ["from", "to"]) element(`${id}-said`).textContent = value(id);
  element("bright-said").textContent = value("bright");
}

function controls() {
  element("patient").addEventListener("change", () => guarded(patientChosen));
  for (const id of ["image", "label", "rater", "other"]) element(id).addEventListener("change", () => guarded(targetChosen));
  element("what").addEventListener("submit", (event) => event.preventDefault());
  for (const radio of document.querySelectorAll("input[name=plane]"))
    radio.addEventListener("change", () => { state.plane = Number(radio.value); planes(); });
  element("bright").addEventListener("input", () => { table = lightTable([0, Number(element("bright").value)]); redraw(); });
  element("opacity").addEventListener("input", redraw);
  for (const slider of document.querySelectorAll(".tools input[type=range]")) slider.addEventListener("input", saidSliders);
  const press = (id, work) => element(id).addEventListener("click", () => guarded(async () => work()));
  press("undo", () => travel("undo"));
  press("redo", () => travel("redo"));
  press("clear", () => { if (state.drawing.take(new Uint8Array(state.drawing.bits.length))) drawn(); });
  press("outline", () => { if (state.drawing.fillOutline(state.plane, state.at[state.plane])) drawn(); });
  press("between", between);
  press("save", save);
  press("propose", () => begin("proposal"));
  press("make", () => proposed(false));
  press("make-at", () => proposed(true));
  press("theirs", theirs);
  press("mine", mine);
  document.addEventListener("keydown", keys);
  window.addEventListener("beforeunload", (event) => { if (state.keeping) event.preventDefault(); });
}

start().catch(alarm);
