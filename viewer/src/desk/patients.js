// The list of patients: what each has, how far each has come, and one button that runs the study.

import { alarm, get, guarded, make, post, put, say } from "./api.js";

const SHORT = { t1w: "T1w", pet: "FDG-PET", flair: "FLAIR", postop: "T1w after", ablation: "ablation" };
const KINDS = { finished: "good", failed: "bad", excluded: "warn", "not finished": "warn", "not run": "" };
const WORDS = { "not run": "not run yet", excluded: "left out" };

const chosen = new Set();
let shown = [];

function image(state) {
  const name = SHORT[state.role] ?? state.role;
  if (state.problem !== "") return make("li", { class: "tag bad" }, `${name}: unclear`);
  if (state.file !== "") return make("li", { class: "tag good", title: state.file }, name);
  return state.required ? make("li", { class: "tag warn" }, `no ${name}`) : null;
}

/** What hinders a patient, in sentences. */
function troubles(patient) {
  const found = patient.images.map((state) => state.problem).filter(Boolean);
  if (patient.reason !== "") found.push(patient.reason);
  const lacking = patient.images.filter((s) => s.required && s.file === "" && s.problem === "");
  if (lacking.length > 0 && patient.reason === "") {
    const files = patient.files.length > 0 ? ` Found are ${patient.files.join(", ")}.` : "";
    found.push(`There is no ${lacking.map((s) => s.what).join(" and no ")}.${files}`);
  }
  return found;
}

function row(patient) {
  const name = `sub-${patient.label}`;
  const box = make("input", {
    type: "checkbox", "aria-label": `Choose ${name}`,
    onchange: () => {
      if (box.checked) chosen.add(patient.label);
      else chosen.delete(patient.label);
      offer();
    },
  });
  box.checked = chosen.has(patient.label);
  const said = troubles(patient).map((text) => make("div", { class: "hint" }, text));
  const status = WORDS[patient.status] ?? patient.status;
  const open = patient.page === "" ? null
    : make("a", { href: `/view?page=${encodeURIComponent(patient.page)}` }, "Page");
  const others = Object.entries(patient.others).map(([title, path]) =>
    make("a", { href: `/view?page=${encodeURIComponent(path)}`, "aria-label": `${title} of ${name}` }, title));
  const drawn = patient.images.some((s) => s.role === "t1w" && s.file !== "");
  const label = encodeURIComponent(patient.label);
  const more = drawn
    ? [make("a", { href: `/look?patient=${label}` }, "Look"), make("a", { href: `/draw?patient=${label}` }, "Draw"),
       patient.page === "" ? null : make("a", { href: `/plan?patient=${label}` }, "Plan")]
    : [];
  for (const link of more) link?.setAttribute("aria-label", `${link.textContent} ${name}`);
  open?.setAttribute("aria-label", `Page of ${name}`);
  return make("tr", {},
    make("td", {}, box),
    make("th", { scope: "row" }, name),
    make("td", {}, make("ul", { class: "images" }, ...patient.images.map(image))),
    make("td", {}, make("span", { class: `tag ${KINDS[patient.status] ?? ""}` }, status), ...said),
    make("td", {}, make("div", { class: "row" }, open, ...others, ...more)),
  );
}

function offer() {
  const button = document.getElementById("run");
  button.disabled = shown.length === 0;
  const some = chosen.size > 0 && chosen.size < shown.length;
  button.textContent = some ? `Run ${chosen.size} of ${shown.length}` : "Run the study";
}

function list(patients) {
  const place = document.getElementById("list");
  place.setAttribute("aria-busy", "false");
  if (patients.length === 0) {
    place.replaceChildren(
      make("p", {}, "There are no patients yet."),
      make("a", { class: "button main", href: "/import" }, "Import the first patient's images"),
    );
    return;
  }
  const heads = ["", "Patient", "Images", "Study", "Open"];
  const head = heads.map((text) => make("th", { scope: "col" },
    text || make("span", { class: "visually-hidden" }, "Chosen")));
  place.replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, ...head)),
    make("tbody", {}, ...patients.map(row))));
}

function sessions(found) {
  const section = document.getElementById("sessions");
  section.hidden = !(found.unknown || found.names.preop || found.names.postop);
  for (const key of ["preop", "postop"]) {
    const options = [make("option", { value: "" }, `ses-${key}, or none`),
      ...found.sessions.map((label) => make("option", { value: label }, `ses-${label}`))];
    const select = document.getElementById(`ses-${key}`);
    select.replaceChildren(...options);
    select.value = found.names[key] || (found.unknown && key === "preop" ? found.sessions[0] : "")
      || (found.unknown && key === "postop" ? found.sessions[1] ?? "" : "");
  }
}

function show(found) {
  shown = found.patients;
  sessions(found);
  list(found.patients);
  offer();
  document.getElementById("folders").textContent = `Dataset: ${found.folder}. Outputs: ${found.outputs}.`;
  document.body.dataset.ready = "patients";
}

document.getElementById("sessions-form").addEventListener("submit", (event) => {
  event.preventDefault();
  void guarded(async () => {
    const wish = { preop: document.getElementById("ses-preop").value, postop: document.getElementById("ses-postop").value };
    show(await put("/api/sessions", wish));
    say("The sessions are stored.");
  });
});

document.getElementById("run").addEventListener("click", () => {
  void guarded(async () => {
    const labels = chosen.size < shown.length ? [...chosen] : [];
    const started = await post("/api/runs", { level: "participant", labels });
    location.assign(`/run#${started.run.id}`);
  });
});

alarm("");
void guarded(async () => show(await get("/api/patients")));
