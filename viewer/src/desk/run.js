// The run page: start, follow, end and resume; failures are sentences with their log one click away.

import { get, guarded, make, post } from "./api.js";
import { duration, followed } from "./followed.js";

const STATES = {
  running: ["running", "warn"], finished: ["finished", "good"], failed: ["finished, with failures", "bad"],
  refused: ["refused", "bad"], cancelled: ["cancelled", "warn"], interrupted: ["interrupted", "warn"],
};
const RESUMED = ["cancelled", "interrupted", "failed", "refused"];
let stream;

async function openLog(title, path) {
  const answer = await fetch(path, { credentials: "same-origin" });
  let text = await answer.text();
  if (!answer.ok) text = JSON.parse(text).error;
  document.getElementById("log-title").textContent = title;
  document.getElementById("log-text").textContent = text || "The log is empty so far.";
  document.getElementById("log").showModal();
}

function logButton(title, path) {
  return make("button", { type: "button", class: "quiet", onclick: () => void guarded(() => openLog(title, path)) }, "Log");
}

function failures(standing) {
  const found = standing.progress.steps.filter((step) => step.failure !== "");
  const said = found.map((step) => make("div", { class: "failure" },
    make("strong", {}, step.title), `: ${step.failure.replace(`${step.title}: `, "")} `,
    step.log === "" ? null : logButton(`Log of ${step.title}`, `/api/logs/${step.log.replace(/^logs\//, "")}?study=${standing.run.study}`)));
  if (standing.progress.sentence !== "" && standing.state !== "cancelled") said.unshift(make("div", { class: "failure" }, standing.progress.sentence));
  return said;
}

/** Whether a run is one of a study, in steps, and not one command. */
const inSteps = ({ run }) => ["participant", "group"].includes(run.level);

function numbers(standing) {
  const { total, steps } = standing.progress;
  const cells = [...(inSteps(standing) ? [["steps", total > 0 ? `${steps.length} of ${total}` : "planning"]] : []),
    [standing.state === "running" ? "so far" : "took", duration(standing.elapsed_s)]];
  if (standing.state === "running" && inSteps(standing)) {
    cells.push(["left", standing.left || "not known yet"]);
  }
  return make("div", { class: "numbers" }, ...cells.map(([name, value]) =>
    make("div", {}, name, make("strong", {}, value))));
}

function buttons(standing) {
  const { id } = standing.run;
  const found = [];
  if (standing.state === "running") {
    found.push(make("button", { type: "button", id: "cancel",
      onclick: () => void guarded(async () => show(await post(`/api/runs/${id}/cancel`))) }, "Cancel"));
  }
  if (RESUMED.includes(standing.state)) {
    found.push(make("button", { type: "button", class: "main", id: "resume",
      onclick: () => void guarded(async () => follow(await post(`/api/runs/${id}/resume`))) }, "Resume"));
  }
  if (["finished", "failed"].includes(standing.state)) {
    if (standing.run.study === "signature" && standing.run.level === "participant") {
      found.push(make("a", { class: "button main", href: "/" }, "See the patients"));
    } else {
      const group = standing.run.level === "group";
      found.push(...standing.pages.slice(0, 6).map((page) => make("a", { class: "button", href: `/view?page=${page}&study=${standing.run.study}` },
        group && page === "group.html" ? "Open the group's page" : page === standing.run.page ? "Open its page" : page.replace(".html", ""))));
    }
  }
  found.push(logButton("Log of the run", `/api/runs/${id}/log`));
  return make("div", { class: "row" }, ...found);
}

function done(standing) {
  const rows = standing.progress.steps.toReversed().map((step) => make("tr", {},
    make("td", {}, step.title), make("td", { class: "number" }, step.failure === "" ? duration(step.seconds) : "failed")));
  if (rows.length === 0) return null;
  return make("details", { id: "steps" }, make("summary", {}, `Steps that have ended (${rows.length})`),
    make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Step"), make("th", { scope: "col", class: "number" }, "Time"))),
      make("tbody", {}, ...rows)));
}

/** Show how a run stands; what the user has opened stays open and what has the focus keeps it. */
function show(standing) {
  const place = document.getElementById("live");
  const opened = document.getElementById("steps")?.open ?? false;
  const focused = document.activeElement?.id;
  const [word, kind] = STATES[standing.state];
  const { total, steps, notes } = standing.progress;
  const bar = make("progress", { max: Math.max(total, 1), "aria-label": "Steps that have ended" });
  if (total > 0 || standing.state !== "running") bar.value = standing.progress.up_to_date ? 1 : steps.length;
  const now = standing.now.length > 0 ? `Now: ${standing.now.join(", ")}.` : "";
  place.replaceChildren(make("section", { class: "card", "data-state": standing.state, "aria-labelledby": "live-title" },
    make("div", { class: "row spread" }, make("h2", { id: "live-title" }, standing.run.title, standing.run.study === "signature" || !inSteps(standing) ? " " : `, ${standing.run.study} `,
      make("span", { class: `tag ${kind}`, role: "status" }, word)), buttons(standing)),
    inSteps(standing) || standing.state === "running" ? bar : null, numbers(standing), now === "" ? null : make("p", { id: "now" }, now),
    standing.progress.up_to_date && steps.length === 0 ? make("p", {}, "Everything was up to date: nothing had to be done.") : null,
    standing.state === "interrupted" ? make("p", {}, "The run was ended from outside, as when the machine is switched off. Resume does only what is missing.") : null,
    ...failures(standing), done(standing),
    notes.length > 0 ? make("details", {}, make("summary", {}, `Notices (${notes.length})`), make("ul", {}, ...notes.map((text) => make("li", {}, text)))) : null,
    make("p", { class: "hint" }, "The same on the command line: ", make("code", {}, standing.command))));
  const details = document.getElementById("steps");
  if (details !== null) details.open = opened;
  if (focused) document.getElementById(focused)?.focus();
  document.getElementById("go").disabled = standing.state === "running";
}

function follow(standing) {
  show(standing);
  history.replaceState(null, "", `#${standing.run.id}`);
  stream?.close();
  if (standing.state === "running") stream = followed(standing, show, () => void guarded(past));
}

async function past() {
  const runs = await get("/api/runs");
  const rows = runs.map((one) => make("tr", {},
    make("td", {}, make("button", { type: "button", class: "quiet", onclick: () => follow(one) }, one.run.started.replace("T", " ").slice(0, 16), " UTC")),
    make("td", {}, one.run.title),
    make("td", {}, make("span", { class: `tag ${STATES[one.state][1]}` }, STATES[one.state][0])),
    make("td", { class: "number" }, duration(one.elapsed_s))));
  document.getElementById("past").hidden = rows.length === 0;
  document.getElementById("runs").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, ...["Started", "What", "State", "Time"].map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows)));
  return runs;
}

async function choices() {
  const [{ presets }, { patients }] = await Promise.all([get("/api/presets"), get("/api/patients")]);
  const study = document.getElementById("study");
  const fill = () => document.getElementById("preset").replaceChildren(make("option", { value: "" }, "default"),
    ...presets[study.value].map((name) => make("option", {}, name)));
  study.addEventListener("change", fill);
  fill();
  document.getElementById("who").append(...patients.map(({ label }) => make("option", { value: label }, `sub-${label}`)));
}

document.getElementById("start").addEventListener("submit", (event) => {
  event.preventDefault();
  void guarded(async () => {
    const who = document.getElementById("who").value;
    const preset = document.getElementById("preset").value;
    follow(await post("/api/runs", { level: "participant", labels: who === "" ? [] : [who], preset, study: document.getElementById("study").value }));
  });
});
document.getElementById("log-close").addEventListener("click", () => document.getElementById("log").close());

void guarded(async () => {
  await choices();
  const runs = await past();
  const wanted = location.hash.slice(1);
  const shown = runs.find((one) => one.run.id === wanted) ?? runs.find((one) => one.state === "running") ?? runs[0];
  if (shown !== undefined) follow(shown);
  document.body.dataset.ready = "run";
});
