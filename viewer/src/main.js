// The live part of the patient page: three planes, a 3D view, layer switches, what-if.
import { element, readScene, readSetup } from "./data.js";
import { onceAFrame, release } from "./frames.js";
import { layerPanel, showValues } from "./panels.js";
import { PeoplePanel } from "./people.js";
import { Planes } from "./planes.js";
import { ProjectedTrack } from "./projection.js";
import { Space } from "./space.js";
import { PLAN_COLOURS, PlanSurfaces } from "./surfaces.js";
import { WhatIf } from "./what_if.js";

const say = (text) => { element("falx-status").textContent = text; };

async function start(holder) {
  const setup = readSetup();
  holder.hidden = false;
  say("Loading …");
  const planes = new Planes(element("falx-planes"), setup.layers);
  const space = new Space(element("falx-space"), setup.surfaces, setup.azimuth);
  await planes.start(setup.centre);
  await space.start();
  const drawn = setup.plan ? [
    new PlanSurfaces(planes.view, { fibre: 1, planned: 1 }, "Crosscut"),
    new ProjectedTrack(planes.view),
    new PlanSurfaces(space.view, { fibre: 1, planned: 0.6 }, "Phong"),
  ] : [];
  planes.listeners.push((mm, values) => showValues(setup.layers, mm, values));
  const entries = setup.layers.filter((layer) => !layer.valuesOf);
  if (setup.plan) {
    const titles = { fibre: "fibre (thin: off the slice)", planned: "planned ablation" };
    for (const [name, title] of Object.entries(titles))
      entries.push({ name, title, shown: true, rgb: PLAN_COLOURS[name].slice(0, 3) });
  }
  const people = setup.people ? await PeoplePanel.of(setup, planes) : null;
  const names = new Set(setup.layers.map((layer) => layer.name));
  layerPanel(entries, {
    show: (name, on) => {
      if (names.has(name)) planes.show(name, on);
      else drawn.forEach((surfaces) => surfaces.show(name, on));
      space.show(name, on);
      if (on) people?.ofLayer(name);
    },
    threshold: (name, low) => planes.threshold(name, low),
    opacity: (name, value) => planes.opacity(name, value),
    colours: (colormap) => planes.colours(colormap),
  });
  for (const entry of entries) if (!entry.shown) space.show(entry.name, false);
  element("falx-radiological").addEventListener("change", (event) => {
    planes.radiological(event.target.checked);
  });
  rowsThatLead(planes, people);
  if (setup.plan) await whatIf(setup, planes, drawn);
  planes.goTo(setup.centre);
  for (const { view } of [planes, space]) await release(view);
  say("Left of the patient is on the left. Arrow and page keys move the crosshair, the wheel the slices (with Ctrl it zooms); in 3D keys turn the head.");
  holder.dataset.ready = "yes";
}

/** Rows of tables that name a place lead there, by click or Enter, and show their layer. */
function rowsThatLead(planes, people) {
  for (const row of document.querySelectorAll("tr[data-mm]")) {
    const go = () => {
      const box = document.querySelector(`input[data-layer='${row.dataset.layer}']`);
      if (box && !box.checked) box.click();
      people?.ofLayer(row.dataset.layer);
      planes.goTo(row.dataset.mm.split(" ").map(Number));
      holder.scrollIntoView({ block: "start" });
    };
    row.tabIndex = 0;
    row.classList.add("falx-leads");
    row.title = "show this place in the live view";
    row.addEventListener("click", go);
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
  }
}

async function whatIf(setup, planes, drawn) {
  const scene = await readScene(setup.scene);
  const draw = onceAFrame((plan) => drawn.forEach((surfaces) => surfaces.draw(plan)));
  const panel = new WhatIf(setup, scene, draw);
  planes.listeners.push((mm) => panel.follow(mm));
}

const holder = element("falx-viewer");
if (holder)
  start(holder).catch((error) => {
    holder.hidden = true;
    holder.dataset.ready = "no";
    element("falx-still").hidden = false;
    element("falx-still").dataset.reason = String(error.message ?? error);
  });
