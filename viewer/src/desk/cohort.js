// The cohort: participants.tsv edited in place, and the group level started from there.

import { alarm, get, guarded, make, post, put, Refusal, say } from "./api.js";

const place = (id) => document.getElementById(id);
const done = [];
let cohort;

/** Write one cell; a refusal leaves the entry in its cell, marked, and a conflict shows what is there. */
async function write(label, header, value, remember = true) {
  const before = cohort.rows[label][cohort.heads.findIndex((head) => head.header === header)];
  try {
    cohort = await put("/api/cohort", { digest: cohort.digest, header, label, value });
  } catch (error) {
    if (error instanceof Refusal && error.code === 409) show(await get("/api/cohort"));
    throw error;
  }
  if (remember) done.push({ label, header, value: before });
  place("undo").disabled = done.length === 0;
}

function cell(label, head, value) {
  const list = head.entries.length > 0 ? `entries-${head.key}` : null;
  const problem = cohort.wrong[`${label} ${head.header}`];
  const input = make("input", {
    value, list, autocomplete: "off", spellcheck: "false", placeholder: "n/a",
    "aria-label": `${head.header} of sub-${label}`, "aria-invalid": problem ? "true" : null, title: problem,
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.value = input.defaultValue;
    if (event.key === "Enter") move(input, event.shiftKey ? -1 : 1);
  });
  input.addEventListener("change", () => void guarded(async () => {
    try {
      await write(label, head.header, input.value);
      input.defaultValue = input.value;
      input.removeAttribute("aria-invalid");
      say(`${head.header} of sub-${label} is stored.`);
    } catch (error) {
      input.setAttribute("aria-invalid", "true");
      say("");
      throw error;
    }
  }));
  return make("td", {}, input);
}

/** Enter goes to the same column of the next row, as in a spreadsheet. */
function move(input, step) {
  const row = input.closest("tr");
  const at = [...row.children].indexOf(input.closest("td"));
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  (next ?? row).children[at].querySelector("input").focus();
}

function show(read) {
  cohort = read;
  const heads = [make("th", { scope: "col" }, "Patient"),
    ...read.heads.map((head) => make("th", { scope: "col", title: head.what }, head.header, make("div", { class: "hint" }, head.what)))];
  const rows = Object.entries(read.rows).map(([label, cells]) => make("tr", {},
    make("th", { scope: "row" }, `sub-${label}`), ...read.heads.map((head, k) => cell(label, head, cells[k]))));
  const lists = read.heads.filter((head) => head.entries.length > 0).map((head) =>
    make("datalist", { id: `entries-${head.key}` }, ...head.entries.map((value) => make("option", { value }))));
  const nobody = rows.length === 0 ? make("p", {}, "There is nobody yet: import a patient's images first.") : null;
  place("table").setAttribute("aria-busy", "false");
  place("table").replaceChildren(nobody ?? make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)), ...lists);
  const offered = read.offered.map((head) => make("option", { value: head.header }, `${head.header}: ${head.what}`));
  place("column").replaceChildren(...offered);
  place("add").hidden = offered.length === 0;
  const wrong = Object.values(read.wrong);
  if (wrong.length > 0) alarm(new Refusal(`${wrong[0]}${wrong.length > 1 ? ` And ${wrong.length - 1} more, marked in the table.` : ""}`, 0));
  document.body.dataset.ready = "cohort";
}

async function results() {
  const study = place("study").value;
  place("roles").hidden = study !== "resistance";
  place("show").href = `/view?page=group.html&study=${study}`;
  place("show").hidden = !(await get("/api/results"))[study];
}

place("add").addEventListener("submit", (event) => {
  event.preventDefault();
  void guarded(async () => {
    const header = place("column").value;
    show(await put("/api/cohort", { digest: cohort.digest, header }));
    say(`The column ${header} is there now.`);
  });
});
place("undo").addEventListener("click", () => void guarded(async () => {
  const last = done.pop();
  if (last === undefined) return;
  await write(last.label, last.header, last.value, false);
  show(cohort);
  say(`${last.header} of sub-${last.label} is again ${last.value || "n/a"}.`);
}));
place("group").addEventListener("click", () => void guarded(async () => {
  const study = place("study").value;
  const roles = study === "resistance"
    ? Object.fromEntries(["resistant", "sensitive", "controls"].map((role) => [role, place(`role-${role}`).value])) : {};
  const started = await post("/api/runs", { level: "group", study, roles });
  location.assign(`/run#${started.run.id}`);
}));
place("study").addEventListener("change", () => void guarded(results));

void guarded(async () => {
  show(await get("/api/cohort"));
  await results();
});
