// The import: files in, what they seem to be, the user's word for it, and into the dataset.

import { alarm, ask, drop, get, guarded, make, post, put, Refusal, say } from "./api.js";

const AT_ONCE = 4;
const place = (id) => document.getElementById(id);
let transfer = "";
let found;

/** All files below a dropped folder, each with its path. */
async function walk(entry, above = "") {
  const path = above === "" ? entry.name : `${above}/${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [{ path, file }];
  }
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) break;
    inside.push(...some);
  }
  const all = [];
  for (const one of inside) all.push(...(await walk(one, path)));
  return all;
}

function told(text, share) {
  place("transfer").hidden = text === "";
  place("transfer-text").textContent = text;
  const bar = place("bytes");
  if (share === undefined) bar.removeAttribute("value");
  else bar.value = share;
}

async function send(files) {
  const whole = files.reduce((sum, { file }) => sum + file.size, 0);
  let sent = 0;
  const waiting = [...files];
  async function worker() {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const address = `/api/import/upload/${transfer}?name=${encodeURIComponent(next.path)}`;
      await ask("PUT", address, undefined, { body: next.file });
      sent += next.file.size;
      told(`Reading ${files.length - waiting.length} of ${files.length} files …`, whole > 0 ? sent / whole : 1);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function take(files) {
  if (files.length === 0) throw new Refusal("There are no files in it. Choose the folder that holds the images.", 0);
  await forget();
  say("");
  transfer = (await post("/api/import/transfers")).id;
  place("choose").setAttribute("aria-busy", "true");
  try {
    told("Reading …", 0);
    await send(files);
    told("Sorting the series …");
    found = await post(`/api/import/transfers/${transfer}/sort`);
  } catch (error) {
    await forget();
    throw error;
  } finally {
    told("");
    place("choose").setAttribute("aria-busy", "false");
  }
  confirmation();
}

async function forget() {
  const old = transfer;
  transfer = "";
  place("confirm").hidden = true;
  if (old !== "") await drop(`/api/import/transfers/${old}`).catch(() => {});
}

function row(series) {
  const name = `${series.number} ${series.description}`.trim();
  const choice = make("select", { "data-index": series.index, "aria-label": `Place of series ${name}`, disabled: series.problem !== "" },
    make("option", { value: "" }, "leave out"),
    ...Object.entries(found.slots).map(([key, title]) => make("option", { value: key }, title)));
  choice.value = series.slot;
  choice.addEventListener("change", check);
  const doubts = series.problem !== "" ? [series.problem] : series.seems.doubts;
  return make("tr", {},
    make("td", { class: "number" }, series.number.replace(/^n/, "")),
    make("th", { scope: "row" }, series.description),
    make("td", {}, series.seems.words, ...doubts.map((text) => make("div", { class: "hint" }, text))),
    make("td", {}, series.size),
    make("td", {}, choice));
}

function picked() {
  const chosen = {};
  for (const select of document.querySelectorAll("#series select")) {
    if (select.value !== "") chosen[select.dataset.index] = select.value;
  }
  return chosen;
}

/** Two series in one place are said at once, not after the click. */
function check() {
  const places = Object.values(picked());
  const twice = places.find((key, at) => places.indexOf(key) !== at);
  alarm(twice === undefined ? "" : `Two series are both the ${found.slots[twice]}: leave one out.`);
  for (const id of ["store", "store-only"]) place(id).disabled = twice !== undefined || places.length === 0;
}

function confirmation() {
  const heads = ["No.", "Series", "Seems to be", "Size", "Is"];
  place("series").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...found.series.map(row))));
  place("notices").replaceChildren(...found.notices.map((text) => make("li", {}, text)));
  place("label").value = found.suggestion;
  place("side").value = "";
  place("confirm").hidden = false;
  check();
  place("label").focus();
  place("label").select();
}

async function store(run) {
  const wish = { label: place("label").value.trim(), side: place("side").value, slots: picked() };
  const stored = await post(`/api/import/transfers/${transfer}/store`, wish);
  transfer = "";
  place("confirm").hidden = true;
  if (run) {
    const started = await post("/api/runs", { level: "participant", labels: [stored.label] });
    location.assign(`/run#${started.run.id}`);
    return;
  }
  const notes = stored.notices.length > 0 ? ` Note: ${stored.notices.join(" ")}` : "";
  say(`sub-${stored.label} has ${stored.written.length} images in the dataset now.${notes}`);
  place("pick-folder").focus();
}

place("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void guarded(() => store(event.submitter?.id !== "store-only"));
});
place("discard").addEventListener("click", () => void guarded(forget));
for (const [button, input] of [["pick-folder", "folder"], ["pick-files", "files"]]) {
  place(button).addEventListener("click", () => place(input).click());
  place(input).addEventListener("change", () => {
    const files = [...place(input).files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
    place(input).value = "";
    void guarded(() => take(files));
  });
}
const area = place("drop");
for (const kind of ["dragover", "dragenter"]) {
  area.addEventListener(kind, (event) => {
    event.preventDefault();
    area.classList.add("over");
  });
}
area.addEventListener("dragleave", () => area.classList.remove("over"));
area.addEventListener("drop", (event) => {
  event.preventDefault();
  area.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  void guarded(async () => take((await Promise.all(entries.map((entry) => walk(entry)))).flat()));
});
document.body.dataset.ready = "import";
