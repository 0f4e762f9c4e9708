// The distances along the track as a drawing with axes in mm.
import { profile } from "./planner.js";

const [WIDE, HIGH, LEFT, FOOT, TOP] = [700, 112, 34, 26, 6];
/** Distances beyond this are drawn at it, mm. */
const MOST_MM = 10;
const SPACE = "http://www.w3.org/2000/svg";

function shape(tag, attributes, text) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

/** Draw the distances of a plan into a holder; what is exempt lies behind a grey ground. */
export function drawProfile(holder, plan, scene) {
  const found = profile(plan, scene.fields);
  const length = found.at(-1).depth;
  const x = (depth) => LEFT + ((WIDE - LEFT - 4) * depth) / length;
  const y = (mm) => TOP + (HIGH - TOP - FOOT) * (1 - Math.min(Math.max(mm, 0), MOST_MM) / MOST_MM);
  const image = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", class: "falx-profile-image" });
  const least = scene.limits.min_clearance_mm;
  const said = found.filter((p) => !p.exempt && p.obstacle < least).length;
  image.append(shape("title", {}, `Distance from the track, 1 mm steps; ${said} mm of it nearer than ${least} mm`));
  found.slice(1).forEach((p, n) => {
    if (p.exempt) image.append(shape("rect", { x: x(found[n].depth), y: TOP, width: x(p.depth) - x(found[n].depth), height: HIGH - TOP - FOOT, class: "falx-exempt" }));
  });
  for (const mm of [0, 5, 10]) {
    image.append(shape("line", { x1: LEFT, x2: WIDE - 4, y1: y(mm), y2: y(mm), class: "falx-grid" }));
    image.append(shape("text", { x: LEFT - 6, y: y(mm) + 4, "text-anchor": "end" }, String(mm)));
  }
  for (let depth = 0; depth <= length; depth += 20)
    image.append(shape("text", { x: x(depth), y: HIGH - 12, "text-anchor": "middle" }, String(depth)));
  image.append(shape("line", { x1: LEFT, x2: WIDE - 4, y1: y(least), y2: y(least), class: "falx-least" }));
  const path = (key) => found.map((p) => `${x(p.depth).toFixed(1)},${y(p[key]).toFixed(1)}`).join(" ");
  image.append(shape("polyline", { points: path("obstacle"), class: "falx-to-obstacle" }));
  if (scene.fields.vessel) image.append(shape("polyline", { points: path("vessel"), class: "falx-to-vessel" }));
  const lines = scene.fields.vessel ? "blue: to fluid or vessel, red: to a vessel" : "blue: to fluid; vessels are not known";
  image.append(shape("text", { x: LEFT, y: HIGH - 1 }, `distance, mm, at each depth, mm; ${lines}; dashed: limit; grey: no margin wanted`));
  holder.replaceChildren(image);
  holder.dataset.least = String(Math.min(...found.filter((p) => !p.exempt).map((p) => p.obstacle)));
}
