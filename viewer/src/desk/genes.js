// Genes behind a map: what falx genes is given is chosen here, and the run is followed on the page Run.

import { ask, drop, get, guarded, make, post, say } from "./api.js";

const place = (id) => document.getElementById(id);
const TABLE = /\.(csv|tsv|txt)$/;

function fill(id, entries, first) {
  const select = place(id);
  const before = select.value;
  const some = first === undefined ? [] : [make("option", { value: "" }, first)];
  select.replaceChildren(...some, ...entries.map(([value, title]) => make("option", { value }, title)));
  if (entries.some(([value]) => value === before)) select.value = before;
}

function show(found) {
  const files = found.files.map((name) => [name, name]);
  fill("map", Object.entries(found.maps));
  fill("expression", files, files.length > 0 ? "choose" : "add a file first");
  fill("atlas", files, "none");
  fill("labels", files, "none, or beside the atlas");
  fill("gene-sets", files.filter(([name]) => name.endsWith(".gmt")), "none");
  place("own").replaceChildren(...found.files.map((name) => make("li", {}, name)));
  place("where").textContent = `They lie in ${found.folder}; a folder of an Allen download can be put there by hand.`;
  place("done").hidden = found.done.length === 0;
  place("runs").replaceChildren(...found.done.map((name) => make("li", {},
    make("a", { href: `/view?page=${name}/report.html&study=genes` }, name))));
  mapChosen();
  document.body.dataset.ready = "genes";
}

/** A name that is free, from that of the map; one that the user typed stays. */
function mapChosen() {
  const map = place("map").value;
  place("column-row").hidden = !TABLE.test(map) || map.endsWith("_profile.tsv");
  const stem = map.replace(/^enigma:/, "").split("/").pop().replace(/\..*$/, "").replace(/[^A-Za-z0-9_-]/g, "-");
  const taken = [...document.querySelectorAll("#runs a")].map((link) => link.textContent);
  const names = [stem, ...Array.from({ length: 99 }, (_, n) => `${stem}-${n + 2}`)];
  if (!place("name").dataset.typed) place("name").value = names.find((name) => !taken.includes(name)) ?? "";
}

async function add(files) {
  const transfer = (await post("/api/import/transfers")).id;
  try {
    for (const file of files) await ask("PUT", `/api/import/upload/${transfer}?name=${encodeURIComponent(file.name)}`, undefined, { body: file });
    show(await post(`/api/genes/files/${transfer}`));
  } catch (error) {
    await drop(`/api/import/transfers/${transfer}`).catch(() => {});
    throw error;
  }
  say(`${files.length} ${files.length === 1 ? "file was" : "files were"} added.`);
}

place("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  void guarded(async () => {
    const value = (id) => place(id).value;
    const sets = value("gene-sets");
    const wish = {
      name: value("name"), map: value("map"), expression: value("expression"), atlas: value("atlas"), labels: value("labels"),
      column: place("column-row").hidden ? "" : value("column"), gene_sets: sets === "" ? [] : [sets], blocks: value("blocks"),
    };
    const started = await post("/api/genes/runs", wish);
    location.assign(`/run#${started.run.id}`);
  });
});
place("map").addEventListener("change", mapChosen);
place("name").addEventListener("input", () => { place("name").dataset.typed = place("name").value; });
place("add").addEventListener("click", () => place("pick").click());
place("pick").addEventListener("change", () => {
  const files = [...place("pick").files];
  place("pick").value = "";
  if (files.length > 0) void guarded(() => add(files));
});

void guarded(async () => show(await get("/api/genes")));
