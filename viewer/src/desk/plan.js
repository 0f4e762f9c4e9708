// The page Plan: what the desk's server says of a plan while it is moved; kept plans; hand-over.
import { onceAFrame } from "../frames.js";
import { Refusal, alarm, get, guarded, make, post, say } from "./api.js";
import { inverse } from "./compose.js";
import { IN_PLANE, Drawing } from "./drawing.js";
import { SliceView, apply, lightTable, paintGrey, paintMask, words } from "./slices.js";
import { carry, greys, unpacked } from "./transfer.js";

const element = (id) => document.getElementById(id);
const asked = new URLSearchParams(location.search);
const SIGNATURE = [224, 69, 123];
const HEATED = [23, 179, 201];
const AXES = ["right", "front", "up"];
const SIZES = [["radius_mm", "radius", 1, 15, 0.5], ["pull_back_mm", "pull-back", 0, 60, 1], ["tip_offset_mm", "tip offset", 0, 60, 1]];
const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);
const volume = (value) => `${value.toFixed(0)} mm³`;
const far = (value) => (value === null || !Number.isFinite(value) ? "–" : `${value.toFixed(1)} mm`);
/** Name, where the figure stands in a kept plan, how it is written, and its limit. */
const ROWS = [
  ["ablative rate, hippocampus", "hippocampus", percent, (l, goal) => `≥ ${percent(goal.threshold)}`],
  ["ablative rate, amygdala", "amygdala", percent],
  ["heated", "ablated_mm3", volume],
  ["heated outside both", "outside_mm3", volume],
  ["clearance of the track", "clearance_mm", far, (l) => `≥ ${l.min_clearance_mm} mm`],
  ["heat to protected tissue", "protected_distance_mm", far, (l) => `≥ ${l.protect_margin_mm} mm`],
  ["risk along the track", "risk_mm", far],
  ["track length", "length_mm", far, (l) => `≤ ${l.max_length_mm} mm`],
  ["angle to the skull", "angle_deg", (v) => `${v.toFixed(0)}°`, (l) => `≤ ${l.max_angle_deg}°`],
  ["entry to a sinus", "sinus_distance_mm", far, (l) => `≥ ${l.min_sinus_mm} mm`],
];
const SHAKEN = [["keeps every limit misplaced", "holds"], ["reaches the rate misplaced", "reaches"], ["touches nothing misplaced", "harmless"]];

const state = { patient: "", found: null, plan: null, past: [], head: null, signature: null, at: [0, 0, 0], asking: false, again: false, times: [] };
let views = [];
let table = [];

async function start() {
  const { patients } = await get("/api/draw/patients");
  if (!patients.length) throw new Refusal("There is no patient yet. Import one first.", 0);
  element("patient").replaceChildren(...patients.map((one) => make("option", { value: one }, `sub-${one}`)));
  if (patients.includes(asked.get("patient"))) element("patient").value = asked.get("patient");
  controls();
  await patientChosen();
}

async function patientChosen() {
  element("desk").dataset.ready = "no";
  element("desk").hidden = true;
  element("kept-plans").hidden = true;
  state.patient = element("patient").value;
  await shown(await get(`/api/plan/open/${state.patient}`));
}

/** Show what there is to plan with. */
async function shown(found) {
  state.found = found;
  const subject = state.patient;
  const [head, mask] = await Promise.all([
    greys("/api/look/grey", { subject, role: "head" }),
    carry("GET", "/api/plan/mask", { subject, name: "signature" }),
  ]);
  if (subject !== state.patient) return;
  state.head = head;
  state.signature = new Drawing(head.shape, await unpacked(mask.bytes));
  table = lightTable(head.window);
  element("said").hidden = !found.notices.length;
  element("said").textContent = found.notices.join(" ");
  compared();
  if (!found.options.length) {
    say("No plan was searched for this patient yet: look for plans.");
    return;
  }
  optionList();
  element("desk").hidden = false;
  planes();
  load(element("option").value);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  element("desk").dataset.ready = "yes";
}

function optionList() {
  const { options, kept, suggested, found_with: relaxed } = state.found;
  const title = (option, n) => `${n === suggested ? "suggested: " : ""}plan ${n + 1}, rate ${percent(option.hippocampus.rate)}, ${volume(option.outside_mm3)} outside${relaxed[n] && `, with ${relaxed[n]}`}`;
  element("option").replaceChildren(
    ...options.map((option, n) => make("option", { value: `option ${n}` }, title(option, n))),
    ...kept.map((one, n) => make("option", { value: `kept ${n}` }, `kept: ${one.name}`)),
  );
  element("option").value = `option ${suggested ?? 0}`;
}

function load(text) {
  const [kind, n] = text.split(" ");
  const { plan } = kind === "kept" ? state.found.kept[n].option : state.found.options[n];
  remember();
  state.plan = structuredClone({ entry_ras_mm: plan.entry_ras_mm, target_ras_mm: plan.target_ras_mm, burns: plan.burns });
  goTo(state.plan.target_ras_mm);
  fill();
}

function goTo(mm) {
  const voxel = apply(inverse(state.head.affine), mm);
  state.at = voxel.map((v, a) => Math.min(Math.max(Math.round(v), 0), state.head.shape[a] - 1));
}

function remember() {
  if (state.plan) state.past.push(structuredClone(state.plan));
  element("undo").disabled = !state.past.length;
}

function undo() {
  if (!state.past.length) return;
  state.plan = state.past.pop();
  element("undo").disabled = !state.past.length;
  fill();
}

/** Fields of ends and burns. */
function fill() {
  for (const end of ["target_ras_mm", "entry_ras_mm"])
    element(end).replaceChildren(...AXES.map((axis, a) => {
      const input = make("input", { type: "number", step: 0.5, value: Number(state.plan[end][a].toFixed(2)), "data-end": end, "data-axis": a });
      input.addEventListener("focus", remember);
      input.addEventListener("input", () => {
        if (!Number.isFinite(input.valueAsNumber)) return;
        state.plan[end][a] = input.valueAsNumber;
        moved();
      });
      return make("label", {}, axis, input);
    }));
  element("burns").replaceChildren(...state.plan.burns.map((burn, n) => make("fieldset", {}, make("legend", {}, `Burn ${n + 1}, mm`),
    ...SIZES.map(([key, title, min, max, step]) => {
      const value = make("output", {}, String(burn[key]));
      const slider = make("input", { type: "range", min, max, step, value: burn[key], "data-burn": n, "data-size": key });
      slider.addEventListener("focus", remember);
      slider.addEventListener("input", () => {
        burn[key] = slider.valueAsNumber;
        value.textContent = slider.value;
        moved();
      });
      return make("label", { class: "slide" }, title, value, slider);
    }))));
  moved();
}

/** The plan is another one: draw it, and ask what it is worth. */
function moved() {
  state.began ??= performance.now();
  redraw();
  state.again = true;
  element("figures").dataset.state = "asking";
  if (!state.asking) guarded(askAll);
}

/** One question at a time, and the last word wins. */
async function askAll() {
  state.asking = true;
  try {
    while (state.again) {
      state.again = false;
      const began = state.began;
      state.began = undefined;
      const plan = structuredClone(state.plan);
      const found = await post("/api/plan/score", { subject: state.patient, plan });
      figures(found);
      state.times.push(performance.now() - began);
    }
    const times = [...state.times].sort((a, b) => a - b);
    element("figures").dataset.latency = JSON.stringify({ n: times.length, median: times[times.length >> 1], most: times.at(-1) });
    element("figures").dataset.state = "told";
  } catch (error) {
    figures(null);
    element("figures").dataset.state = "refused";
    throw error;
  } finally {
    state.asking = false;
  }
}

function figures(found) {
  element("keep").disabled = !found;
  element("figures").dataset.found = JSON.stringify(found);
  if (!found) {
    element("figures").replaceChildren();
    element("judged").textContent = "not scored";
    return;
  }
  const { limits, goal } = state.found;
  const broken = found.violations.length ? `breaks: ${found.violations.join("; ")}` : "breaks no limit as drawn";
  const short = found.hippocampus === null || found.hippocampus < goal.threshold;
  element("judged").textContent = short ? `${broken}; covers less than is wanted` : broken;
  element("judged").className = `tag ${found.violations.length ? "bad" : short ? "warn" : ""}`;
  element("figures").replaceChildren(make("table", {}, make("tbody", {}, ...ROWS.filter(([, key]) => key !== "sinus_distance_mm" || found[key] !== null)
    .map(([title, key, text, limit]) => make("tr", {}, make("th", { scope: "row" }, title), make("td", { class: "number" }, text(found[key])), make("td", { class: "soft" }, limit?.(limits, goal) ?? ""))))));
}

function planes() {
  if (views.length) {
    views.forEach((view) => { view.volume = state.head; view.asPlane(view.axis); view.zoom = 1; view.pan = [0, 0]; });
    return;
  }
  views = [["axial", 2], ["coronal", 1], ["sagittal", 0]].map(([id, axis]) => {
    const view = new SliceView(element(id), axis, state.head, paint);
    view.changed = redraw;
    view.after = (pen, ratio) => fibre(view, pen, ratio);
    hand(view);
    return view;
  });
}

function paint(pixels, axis, slice) {
  paintGrey(pixels, state.head, axis, slice, table);
  paintMask(pixels, state.signature, axis, slice, SIGNATURE, 0.3);
  paintHeat(pixels, axis, slice);
}

/** Colour what the burns heat: |P - (T - t d)| <= r with t = clip((T - P).d, s, s + b). */
function paintHeat(pixels, axis, slice) {
  const { head, plan } = state;
  const [u, v] = IN_PLANE[axis];
  const { affine, shape } = head;
  const target = plan.target_ras_mm;
  const span = target.map((t, r) => t - plan.entry_ras_mm[r]);
  const length = Math.hypot(...span);
  const way = span.map((s) => s / length);
  const centre = apply(inverse(affine), target);
  const reach = Math.max(...plan.burns.map((b) => b.radius_mm + b.pull_back_mm + b.tip_offset_mm)) / Math.min(...head.voxelMm);
  const ends = [u, v].map((a) => [Math.max(0, Math.floor(centre[a] - reach)), Math.min(shape[a] - 1, Math.ceil(centre[a] + reach))]);
  const at = [0, 0, 0];
  at[axis] = slice;
  for (at[v] = ends[1][0]; at[v] <= ends[1][1]; at[v]++)
    for (at[u] = ends[0][0]; at[u] <= ends[0][1]; at[u]++) {
      const p = apply(affine, at);
      const away = target.map((t, r) => t - p[r]);
      const along = away[0] * way[0] + away[1] * way[1] + away[2] * way[2];
      const across2 = away[0] ** 2 + away[1] ** 2 + away[2] ** 2 - along * along;
      const hot = plan.burns.some((b) => across2 + (along - Math.min(Math.max(along, b.tip_offset_mm), b.tip_offset_mm + b.pull_back_mm)) ** 2 <= b.radius_mm ** 2 + 1e-6);
      if (!hot) continue;
      const n = 4 * ((shape[v] - 1 - at[v]) * shape[u] + at[u]);
      for (let k = 0; k < 3; k++) pixels[n + k] += (HEATED[k] - pixels[n + k]) * 0.4;
    }
}

/** The fibre as it projects onto a plane; its end a ring. */
function fibre(view, pen, ratio) {
  const [from, to] = ["entry_ras_mm", "target_ras_mm"].map((end) => view.toScreen(apply(inverse(state.head.affine), state.plan[end])));
  pen.strokeStyle = "#fff";
  pen.lineWidth = 1.5 * ratio;
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  pen.beginPath();
  pen.arc(...to, 4 * ratio, 0, 2 * Math.PI);
  pen.stroke();
}

const redraw = onceAFrame(() => {
  if (!state.plan || element("desk").hidden) return;
  for (const view of views) view.draw(state.at);
  element("place").textContent = words(apply(state.head.affine, state.at));
});

const drags = () => document.querySelector("input[name=drags]:checked").value;

/** A hand in a plane carries the crosshair, and an end of the track if that was chosen. */
function carryTo(voxel) {
  state.at = voxel.map((v, a) => Math.min(Math.max(Math.round(v), 0), state.head.shape[a] - 1));
  const end = drags();
  if (end === "cross") return redraw();
  state.plan[end] = apply(state.head.affine, voxel);
  for (const input of document.querySelectorAll(`#${end} input`)) input.value = Number(state.plan[end][input.dataset.axis].toFixed(2));
  return moved();
}

function hand(view) {
  const { canvas } = view;
  /** In depth an end stays where it is. */
  const start = () => (drags() === "cross" ? state.at : apply(inverse(state.head.affine), state.plan[drags()]));
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (drags() !== "cross") remember();
    const voxel = view.toVoxel(event, start());
    if (voxel) carryTo(voxel);
  });
  canvas.addEventListener("pointermove", (event) => {
    const voxel = event.buttons & 1 ? view.toVoxel(event, start()) : null;
    if (voxel) carryTo(voxel);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) view.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, view.toVoxel(event, state.at) ?? state.at);
    else state.at[view.axis] = Math.min(Math.max(state.at[view.axis] - Math.sign(event.deltaY), 0), state.head.shape[view.axis] - 1);
    redraw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const way = { ArrowLeft: [view.u, -1], ArrowRight: [view.u, 1], ArrowUp: [view.v, 1], ArrowDown: [view.v, -1], PageUp: [view.axis, 1], PageDown: [view.axis, -1] }[event.key];
    if (event.key.toLowerCase() === "z") undo();
    if (!way) return;
    event.preventDefault();
    if (drags() !== "cross") remember();
    const voxel = [...start()];
    voxel[way[0]] += way[1] / (drags() === "cross" ? 1 : 2 * state.head.voxelMm[way[0]]);
    carryTo(voxel);
  });
}

async function keep() {
  const name = element("name").value.trim();
  if (!name) {
    element("name").focus();
    throw new Refusal("Give the plan a name first.", 0);
  }
  const kept = await post("/api/plan/keep", { subject: state.patient, plan: state.plan, name });
  state.found.kept.push(kept);
  element("name").value = "";
  const now = element("option").value;
  optionList();
  element("option").value = now;
  compared();
  say(`Kept as ${name}: misplaced, it keeps every limit in ${percent(kept.option.robustness.holds)} of placements.`);
}

/** One column a kept plan, one row a figure. */
function compared() {
  const { kept, limits, goal } = state.found;
  element("kept-plans").hidden = !kept.length;
  if (!kept.length) return;
  const cell = (one, key) => (["hippocampus", "amygdala"].includes(key) ? one.option[key].rate : one.option[key]);
  const rows = ROWS.filter(([, key]) => kept.some((one) => cell(one, key) !== null)).map(([title, key, text, limit]) =>
    make("tr", {}, make("th", { scope: "row" }, title), make("td", { class: "soft" }, limit?.(limits, goal) ?? ""), ...kept.map((one) => make("td", { class: "number" }, text(cell(one, key))))));
  const shaken = SHAKEN.map(([title, key]) => make("tr", {}, make("th", { scope: "row" }, title), make("td", {}), ...kept.map((one) => make("td", { class: "number" }, percent(one.option.robustness[key])))));
  const verdict = make("tr", {}, make("th", { scope: "row" }, "as drawn"), make("td", {}), ...kept.map((one) => make("td", { class: one.option.violations.length ? "broken" : "" }, one.option.violations.join("; ") || "breaks no limit")));
  const passes = make("tr", {}, make("th", { scope: "row" }, "passes the goal misplaced"), make("td", {}), ...kept.map((one) => make("td", {}, make("span", { class: `tag ${one.passes ? "good" : "bad"}` }, one.passes ? "yes" : "no"))));
  const unsure = make("tr", {}, make("th", { scope: "row" }, "said of it"), make("td", {}), ...kept.map((one) => make("td", { class: "hint" }, one.notices.join(" "))));
  const away = (one) => make("button", { type: "button", class: "quiet", onclick: () => guarded(() => forget(one)) }, "delete");
  element("compared").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "figure"), make("th", { scope: "col" }, "limit"), ...kept.map((one) => make("th", { scope: "col" }, one.name, " ", away(one))))),
    make("tbody", {}, passes, verdict, ...rows, ...shaken, unsure)));
  element("chosen").replaceChildren(...kept.map((one) => make("option", {}, one.name)));
}

async function forget(one) {
  await carry("DELETE", "/api/plan/keep", { subject: state.patient, name: one.name });
  state.found.kept = state.found.kept.filter((other) => other !== one);
  optionList();
  compared();
}

async function search() {
  element("search").disabled = true;
  say("Looking for plans: some ten seconds …");
  try {
    const found = await post("/api/plan/search", { subject: state.patient });
    say("");
    await shown(found);
  } finally {
    element("search").disabled = false;
  }
}

async function handOver() {
  say("Writing …");
  const { written } = await post("/api/plan/hand-over", { subject: state.patient, name: element("chosen").value, series: element("series").value.trim() });
  element("written").replaceChildren(...written.map((path) => make("li", {}, path)));
  say(`Written into the desk's folder: ${written.length} files.`);
}

function controls() {
  element("what").addEventListener("submit", (event) => event.preventDefault());
  element("patient").addEventListener("change", () => guarded(patientChosen));
  element("option").addEventListener("change", () => load(element("option").value));
  const press = (id, work) => element(id).addEventListener("click", () => guarded(async () => work()));
  press("search", search);
  press("keep", keep);
  press("undo", undo);
  press("add", () => {
    remember();
    const last = state.plan.burns.at(-1);
    state.plan.burns.push({ radius_mm: last.radius_mm, pull_back_mm: 0, tip_offset_mm: last.tip_offset_mm + last.pull_back_mm });
    fill();
  });
  element("hand-over").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(handOver);
  });
}

start().catch(alarm);
