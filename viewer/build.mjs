// Build the live part of the page into one script, with the licences of what went in.
import { build } from "esbuild";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? join(here, "..", "src", "falx", "report", "assets");

const made = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.js"],
  // NiiVue reads Zarr with a decoder larger than itself; the page holds no Zarr.
  alias: { zarrita: "./src/no_zarr.js" },
  bundle: true,
  charset: "ascii",
  format: "iife",
  legalComments: "none",
  logLevel: "error",
  metafile: true,
  minify: true,
  target: "es2022",
  write: false,
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
const texts = packages(made.metafile.inputs).map(licence);
writeFileSync(join(target, "viewer.js"), made.outputFiles[0].contents);
writeFileSync(join(target, "viewer.licences.txt"), texts.join("\n\n"));
