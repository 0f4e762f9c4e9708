// The what-if panel: the plan as fields, its scores by the planner's rules, its export.
import { assess, isPlan, planFile } from "./planner.js";
import { element, make } from "./data.js";
import { placesOf } from "./frames_mm.js";
import { interval, isBetter, neighbours, rank, shares } from "./placement.js";
import { drawProfile } from "./profile.js";

const AXES = ["right", "anterior", "superior"];
const SIZES = [
  ["radius", "radius", 1, 15, 0.5], ["pullBack", "pull-back", 0, 60, 1], ["tipOffset", "tip offset", 0, 60, 1],
];
/** Changes that follow each other faster are undone together. */
const PAUSE_MS = 400;
/** Misplaced copies that are counted while one drags, and how long after it all of them are. */
const FEW = 100;
const REST_MS = 250;
/** Steps of the search around a plan, mm; each is tried until it helps no more. */
const STEPS_MM = [2, 1, 0.5];
const MOST_MOVES = 12;
const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)} %`);

export class WhatIf {
  /** `changed(plan)` is called whenever the plan is another one. */
  constructor(setup, scene, changed) {
    this.setup = setup;
    this.scene = scene;
    this.changed = changed;
    this.drags = "crosshair";
    this.past = [];
    this.undone = [];
    this.changedAt = -Infinity;
    this.build();
    this.reset();
  }

  build() {
    const panel = element("falx-whatif");
    panel.append(...this.plansToLoad(), this.dragChoice(), this.points("entry"), this.points("target"));
    this.burnPanel = make("div");
    panel.append(this.burnPanel);
    const button = (text, name, action) => {
      const made = make("button", { type: "button", dataset: { action: name } }, text);
      made.addEventListener("click", action);
      return made;
    };
    panel.append(make("div", { className: "falx-buttons" },
      button("Add a burn", "add", () => this.addBurn()),
      button("Undo", "undo", () => this.undo()),
      button("Redo", "redo", () => this.redo()),
      ...(this.scene.picks ? [button("Improve", "improve", () => this.improve())] : []),
      button("Back to the plan", "reset", () => this.reset()),
      button("Save as plan file", "save", () => this.save())));
  }

  /** A list of the plans of the page; a click on a row of their table loads one, too. */
  plansToLoad() {
    const plans = this.setup.plans ?? [];
    if (!plans.length) return [];
    this.list = make("select", { dataset: { action: "load" } });
    this.list.append(make("option", { value: "" }, "edited"));
    plans.forEach(({ title }, n) => this.list.append(make("option", { value: String(n) }, title)));
    this.list.addEventListener("change", () => this.list.value && this.load(Number(this.list.value)));
    for (const row of document.querySelectorAll("table tbody tr")) {
      const heading = row.closest("table").querySelector("th")?.textContent.trim();
      const number = Number(row.cells[0]?.textContent) - 1;
      if (heading !== "plan" || !plans[number]) continue;
      row.classList.add("falx-loads");
      row.title = "Load this plan into the view";
      row.addEventListener("click", () => {
        this.load(number);
        element("falx-viewer").scrollIntoView();
      });
    }
    return [make("label", { className: "falx-load" }, "Plan ", this.list)];
  }

  load(number) {
    this.plan = structuredClone(this.setup.plans[number].plan);
    this.fill();
  }

  /** The plan of the page that the shown one is, unchanged; none if it was edited. */
  known() {
    const shown = JSON.stringify(this.plan);
    return (this.setup.plans ?? []).findIndex(({ plan }) => JSON.stringify(plan) === shown);
  }

  undo() {
    if (this.past.length < 2) return;
    this.undone.push(this.past.pop());
    this.plan = structuredClone(this.past.at(-1));
    this.fill();
  }

  redo() {
    if (!this.undone.length) return;
    this.past.push(this.undone.pop());
    this.plan = structuredClone(this.past.at(-1));
    this.fill();
  }

  /** Keep what is shown for undoing; of a drag only where it pauses. */
  remember() {
    const last = this.past.at(-1);
    if (JSON.stringify(last) === JSON.stringify(this.plan)) return;
    const now = performance.now();
    this.undone = [];
    if (this.past.length > 1 && now - this.changedAt < PAUSE_MS) this.past.pop();
    this.past.push(structuredClone(this.plan));
    this.changedAt = now;
  }

  dragChoice() {
    const group = make("fieldset", {}, make("legend", {}, "A click or drag in the planes moves"));
    for (const what of ["crosshair", "target", "entry"]) {
      const radio = make("input", { type: "radio", name: "falx-drags", value: what, checked: what === "crosshair" });
      radio.addEventListener("change", () => { this.drags = what; });
      group.append(make("label", {}, radio, what));
    }
    return group;
  }

  points(end) {
    const group = make("fieldset", {}, make("legend", {}, `${end}, mm`));
    AXES.forEach((axis, a) => {
      const input = make("input", { type: "number", step: 0.5, dataset: { end, axis: a } });
      input.addEventListener("input", () => { this.plan[end][a] = input.valueAsNumber; this.update(); });
      group.append(make("label", {}, axis, input));
    });
    return group;
  }

  burns() {
    this.burnPanel.replaceChildren(...this.plan.burns.map((burn, n) => {
      const group = make("fieldset", {}, make("legend", {}, `burn ${n + 1}, mm`));
      for (const [key, title, min, max, step] of SIZES) {
        const value = make("output", {}, String(burn[key]));
        const slider = make("input", { type: "range", min, max, step, value: burn[key], dataset: { burn: n, size: key } });
        slider.addEventListener("input", () => {
          burn[key] = slider.valueAsNumber;
          value.textContent = slider.value;
          this.update();
        });
        group.append(make("label", {}, title, slider, value));
      }
      return group;
    }));
  }

  reset() {
    this.plan = structuredClone(this.setup.plan);
    this.fill();
  }

  addBurn() {
    const last = this.plan.burns.at(-1);
    this.plan.burns.push({ radius: last.radius, pullBack: 0, tipOffset: last.tipOffset + last.pullBack });
    this.fill();
  }

  fill() {
    for (const input of document.querySelectorAll("#falx-whatif input[data-end]"))
      input.value = this.plan[input.dataset.end][input.dataset.axis].toFixed(2);
    this.burns();
    this.update();
  }

  /** The crosshair moved: it may carry an end of the track along. */
  follow(mm) {
    if (this.drags === "crosshair") return;
    this.plan[this.drags] = mm.map((v) => Math.round(v * 100) / 100);
    this.fill();
  }

  update() {
    const output = element("falx-result");
    clearTimeout(this.rest);
    if (!isPlan(this.plan)) {
      output.textContent = "Not a plan: entry and target must lie 10 mm or more apart, and each burn needs a radius.";
      output.dataset.result = "";
      output.dataset.shares = "";
      return;
    }
    this.remember();
    const began = performance.now();
    this.found = assess(this.plan, this.scene);
    output.dataset.result = JSON.stringify(this.found);
    this.say(this.scene.draws ? this.count(FEW) : null);
    output.dataset.ms = String(performance.now() - began);
    this.changed(this.plan);
    if (this.scene.draws) this.rest = setTimeout(() => this.say(this.count()), REST_MS);
    const profile = element("falx-profile");
    if (profile) drawProfile(profile, this.plan, this.scene);
  }

  count(number) {
    return shares(this.plan, this.scene, this.scene.draws, this.setup.wanted, number);
  }

  /** Show what was found, and what placement error makes of it. */
  say(shaken) {
    const output = element("falx-result");
    output.dataset.shares = shaken ? JSON.stringify(shaken) : "";
    const number = this.known();
    if (this.list) this.list.value = number < 0 ? "" : String(number);
    output.replaceChildren(
      this.verdict(number, shaken),
      ...(shaken && number < 0 ? [shareTable(shaken, this.setup.goal)] : []),
      scoreTable(this.found, this.scene, this.setup.wanted),
      placeTable(placesOf(this.plan, this.scene)),
    );
  }

  /** The colour follows the probability; a plan that nobody scored is never called safe. */
  verdict(number, shaken) {
    if (number >= 0) {
      const { words, passes } = this.setup.plans[number];
      return make("p", { className: passes ? "falx-keeps" : "falx-breaks" }, words);
    }
    const drawn = this.found.broken.length ? `As drawn it breaks: ${this.found.broken.join(", ")}.` : "As drawn it breaks no limit.";
    const short = this.found.rate === null || this.found.rate < this.setup.wanted;
    const unlikely = shaken && lacking(shaken, this.setup.goal).length > 0;
    const words = ["Edited, not verified.", drawn];
    if (short) words.push("It covers less than is wanted.");
    if (!shaken) words.push("How often it would when misplaced is not known before it is scored.");
    return make("p", { className: short || unlikely || this.found.broken.length ? "falx-breaks" : "falx-edited" },
      words.join(" "));
  }

  /** Look for a better plan around this one, by draws that do not judge it. */
  async improve() {
    const { scene, setup: { goal } } = this;
    const draws = scene.picks;
    let best = rank(this.plan, scene, draws, goal);
    let moves = 0;
    for (const step of STEPS_MM)
      for (let found = true; found && moves < MOST_MOVES; ) {
        found = false;
        let better = null;
        for (const plan of neighbours(this.plan, step)) {
          if (!isPlan(plan)) continue;
          const its = rank(plan, scene, draws, goal);
          if (isBetter(its, best)) [best, better] = [its, plan];
        }
        if (better) {
          this.plan = better;
          found = true;
          moves++;
          element("falx-result").dataset.moves = String(moves);
          this.fill();
          await new Promise((done) => { setTimeout(done, 0); });
        }
      }
    this.say(this.count());
    element("falx-result").dataset.improved = String(moves);
  }

  save() {
    const text = `${JSON.stringify(planFile(this.plan), null, 2)}\n`;
    const link = make("a", {
      href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
      download: `${this.setup.label}_desc-edited_plan.json`,
    });
    link.click();
    URL.revokeObjectURL(link.href);
  }
}

/** Which wanted shares a plan lacks for sure: their whole interval lies below. */
function lacking(shaken, goal) {
  const least = { holds: goal.keep_probability, reaches: goal.probability, harmless: goal.harmless_probability };
  return Object.entries(least).filter(([name, share]) => interval(shaken[name], shaken.draws)[1] < share);
}

function rowsOf(rows) {
  return rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
}

function shareTable(shaken, goal) {
  const text = (name) => {
    const [low, high] = interval(shaken[name], shaken.draws);
    return `${(100 * shaken[name]).toFixed(0)} % (${(100 * low).toFixed(0)} to ${(100 * high).toFixed(0)})`;
  };
  const rows = [
    ["every limit kept", text("holds"), `at least ${percent(goal.keep_probability)}`],
    ["rate reached", text("reaches"), `at least ${percent(goal.probability)}`],
    ["nothing touched", text("harmless"), `at least ${percent(goal.harmless_probability)}`],
    ["limits kept and rate reached", text("succeeds"), ""],
  ];
  return make("table", { className: "falx-shares" },
    make("caption", {}, `This plan, misplaced ${shaken.draws} times (95 % interval of counting)`),
    make("tbody", {}, ...rowsOf(rows)));
}

function placeTable(rows) {
  const head = make("tr", {}, ...["mm", "scanner RAS", "AC–PC", "MNI"].map((text) => make("th", {}, text)));
  return make("table", { className: "falx-places" }, make("thead", {}, head), make("tbody", {}, ...rowsOf(rows)));
}

function scoreTable(found, { limits, names }, wanted) {
  const far = (value) => (Number.isFinite(value) ? `${value.toFixed(1)} mm` : "–");
  const rows = [
    [names.rate, percent(found.rate), `at least ${percent(wanted)}`],
    ...(names.second === null ? [] : [[names.second, percent(found.amygdala), ""]]),
    ["heated in all", `${found.ablatedMm3.toFixed(0)} mm³`, ""],
    [names.outside, `${found.outsideMm3.toFixed(0)} mm³`, "least"],
    ["clearance of track", far(found.clearance), `at least ${limits.min_clearance_mm} mm`],
    ["heat to protected", far(found.protected), `at least ${limits.protect_margin_mm} mm`],
    ["risk along track", far(found.risk), "least"],
    ["track length", far(found.length), `at most ${limits.max_length_mm} mm`],
    ["angle to the skull", `${found.angle.toFixed(0)}°`, `at most ${limits.max_angle_deg}°`],
  ];
  if (found.sinus !== null) rows.push(["entry to a dural sinus", far(found.sinus), `at least ${limits.min_sinus_mm} mm`]);
  return make("table", {}, make("caption", {}, "As drawn"), make("tbody", {}, ...rowsOf(rows)));
}
