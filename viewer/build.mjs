// Build the live part of the page into one script, with the licences of what went in, and a
// script for each page of the desk.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const desk = join(here, "..", "src", "falx", "desk", "assets");
const target = process.argv[2] ?? join(here, "..", "src", "falx", "report", "assets");

const how = {
  absWorkingDir: here,
  // NiiVue reads Zarr with a decoder larger than itself; the page holds no Zarr.
  alias: { zarrita: "./src/no_zarr.js" },
  bundle: true,
  charset: "ascii",
  legalComments: "none",
  logLevel: "error",
  metafile: true,
  minify: true,
  target: "es2022",
};
const made = await build({ ...how, entryPoints: ["src/main.js"], format: "iife", write: false });

// The desk's pages: a plain module for each shell, whose shared parts (NiiVue among them) become
// shared files.
const pages = readdirSync(join(desk, "..", "pages"))
  .filter((shell) => shell.endsWith(".html"))
  .map((shell) => `src/desk/${shell.replace(".html", ".js")}`);
rmSync(desk, { recursive: true, force: true });
const desks = await build({
  ...how,
  entryPoints: pages,
  format: "esm",
  splitting: true,
  chunkNames: "shared-[hash]",
  outdir: desk,
});

/** Names of the packages whose code went into the script. */
function packages(inputs) {
  const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//;
  const found = Object.keys(inputs).map((path) => path.match(name)?.[1]);
  return [...new Set(found.filter(Boolean))].sort();
}

function licence(name) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(join(folder, file), "utf8") : `Licence: ${license}\n`;
  return `${name} ${version}\n${"=".repeat(72)}\n${text.trim()}\n`;
}

if (!existsSync(target)) mkdirSync(target, { recursive: true });
const inputs = { ...made.metafile.inputs, ...desks.metafile.inputs };
const texts = packages(inputs).map(licence);
writeFileSync(join(target, "viewer.js"), made.outputFiles[0].contents);
writeFileSync(join(target, "viewer.licences.txt"), texts.join("\n\n"));
