// Everybody's value under the crosshair: a strip of dots for each group, and the names.
import { element, make, unpacked } from "./data.js";
import { onceAFrame } from "./frames.js";

const ABSENT = 255;
const COLOURS = ["#c2571a", "#1f8a8a", "#1f6fb5", "#7a4fa3", "#5b7a1f"];
const SVG = "http://www.w3.org/2000/svg";
const LEFT = 6, WIDTH = 420, ROW = 34, AXIS = 22;

const drawn = (tag, attributes = {}, text = "") => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
};
const short = (value) => String(Number(value.toPrecision(3)));

/** Values of one comparison's people at a place; null where it did not compare. */
export class PeopleAt {
  constructor(setup, arrays) {
    Object.assign(this, setup, arrays);
    this.row = new Int32Array(this.there.length).fill(-1);
    let count = 0;
    this.there.forEach((inside, n) => { if (inside) this.row[n] = count++; });
  }

  /** Index of the kept voxel nearest to a place (x slowest), or -1. */
  voxel(mm) {
    const index = [0, 1, 2].map((a) => {
      const [x, y, z, t] = this.toVoxel.slice(4 * a, 4 * a + 4);
      return Math.round(x * mm[0] + y * mm[1] + z * mm[2] + t);
    });
    const [nx, ny, nz] = this.shape;
    const [i, j, k] = index;
    if (i < 0 || j < 0 || k < 0 || i >= nx || j >= ny || k >= nz) return -1;
    return (i * ny + j) * nz + k;
  }

  /** The values there, or at the mean of all covariates, in the order of the people. */
  values(mm, adjusted) {
    const voxel = this.voxel(mm);
    if (voxel < 0 || !this.compared[voxel]) return null;
    const row = this.row[voxel];
    const plain = this.columns.map((column) => {
      const code = this.codes[row * this.width + column];
      return code === ABSENT ? NaN : this.low[row] + this.step[row] * code;
    });
    if (!adjusted) return plain;
    const n = plain.length;
    return plain.map((_, i) => plain.reduce((sum, value, j) => sum + this.adjust[i * n + j] * value, 0));
  }
}

/** Read the comparisons of the page; their arrays are packed, and maps of the same people once. */
async function read(setup) {
  const banks = new Map();
  const bank = async (n) => {
    const of = async (what, Kind) => new Kind(await unpacked(`falx-people-${what}-${n}`));
    return { there: await of("there", Uint8Array), codes: await of("codes", Uint8Array),
      low: await of("low", Float32Array), step: await of("step", Float32Array) };
  };
  const found = [];
  for (const [n, one] of setup.entries()) {
    if (!banks.has(one.bank)) banks.set(one.bank, await bank(one.bank));
    const own = { adjust: new Float32Array(await unpacked(`falx-people-adjust-${n}`)),
      compared: new Uint8Array(await unpacked(`falx-people-compared-${n}`)) };
    found.push(new PeopleAt(one, { ...banks.get(one.bank), ...own }));
  }
  return found;
}

export class PeoplePanel {
  static async of(setup, planes) {
    const panel = new PeoplePanel(await read(setup.people), planes);
    panel.build(setup.peopleTold);
    return panel;
  }

  constructor(comparisons, planes) {
    this.comparisons = comparisons;
    this.chosen = 0;
    this.followed = null;
    const draw = onceAFrame((mm) => this.draw(mm));
    planes.listeners.push((mm) => { this.mm = mm; draw(mm); });
  }

  build(told) {
    const panel = element("falx-people");
    this.choice = make("select", { dataset: { people: "comparison" } });
    this.choice.setAttribute("aria-label", "comparison whose people are shown");
    this.comparisons.forEach(({ title }, n) => this.choice.append(make("option", { value: n }, title)));
    this.choice.addEventListener("change", () => this.choose(Number(this.choice.value)));
    this.adjusted = make("input", { type: "checkbox", checked: true, dataset: { people: "adjusted" } });
    this.adjusted.addEventListener("change", () => this.draw(this.mm));
    this.where = make("p", { className: "falx-people-where" });
    this.strip = drawn("svg", { role: "img", class: "falx-strip" });
    this.names = make("div", { className: "falx-names" });
    panel.append(make("div", { className: "falx-people-head" }, this.choice,
      make("label", {}, this.adjusted, " at the mean of all covariates")), this.where, this.strip, this.names,
      make("p", { className: "falx-people-told" }, told));
    panel.hidden = false;
  }

  choose(n) {
    this.chosen = n;
    this.choice.value = n;
    this.draw(this.mm);
  }

  /** Show the people of the comparison that a layer belongs to. */
  ofLayer(layer) {
    const n = this.comparisons.findIndex(({ name }) => layer.startsWith(`${name}-`));
    if (n >= 0 && n !== this.chosen) this.choose(n);
  }

  draw(mm) {
    const one = this.comparisons[this.chosen];
    const values = mm && one.values(mm, this.adjusted.checked);
    const panel = element("falx-people");
    panel.dataset.values = JSON.stringify(values && Object.fromEntries(one.people.map((p, k) => [p, values[k]])));
    this.strip.replaceChildren();
    this.names.replaceChildren();
    if (!values) {
      this.where.textContent = "Outside of the voxels that were compared: nobody has a value here.";
      this.strip.setAttribute("viewBox", `0 0 ${WIDTH} 1`);
      return;
    }
    const groups = [...new Set(one.groups)].map((group, n) => {
      const people = one.people.map((person, k) => ({ person, value: values[k], k }))
        .filter(({ k }) => one.groups[k] === group).sort((a, b) => a.value - b.value);
      const mean = people.reduce((sum, { value }) => sum + value, 0) / people.length;
      return { group, people, mean, colour: COLOURS[n % COLOURS.length] };
    });
    this.where.textContent = groups.map(({ group, people, mean }) =>
      `${group}, n = ${people.length}: mean ${short(mean)}`).join("  ·  ");
    this.drawStrip(groups, values);
    this.listNames(groups);
  }

  drawStrip(groups, values) {
    const low = Math.min(...values), high = Math.max(...values);
    const x = (value) => LEFT + 4 + (WIDTH - 2 * LEFT - 8) * (high > low ? (value - low) / (high - low) : 0.5);
    const height = ROW * groups.length + AXIS;
    this.strip.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
    this.strip.setAttribute("aria-label", this.where.textContent);
    groups.forEach(({ group, people, mean, colour }, n) => {
      const top = n * ROW, middle = top + 22;
      const title = drawn("text", { x: LEFT, y: top + 10, class: "falx-strip-group" }, group);
      title.style.fill = colour;
      this.strip.append(title);
      this.strip.append(drawn("line", { x1: x(mean), x2: x(mean), y1: top + 13, y2: top + ROW - 2, class: "falx-strip-mean" }));
      people.forEach(({ person, value }, rank) => {
        // By rank alternately above and below, so that equal values stay apart.
        const offset = 9 * (((rank * 0.618) % 1) - 0.5);
        const dot = drawn("circle", { cx: x(value), cy: middle + offset, r: person === this.followed ? 5.5 : 3.2,
          fill: colour, class: person === this.followed ? "falx-followed" : "" });
        dot.append(drawn("title", {}, `${person}: ${short(value)}`));
        dot.addEventListener("click", () => this.follow(person));
        this.strip.append(dot);
      });
    });
    const y = ROW * groups.length + 4;
    this.strip.append(drawn("line", { x1: LEFT, x2: WIDTH - LEFT, y1: y, y2: y, class: "falx-strip-axis" }),
      drawn("text", { x: LEFT, y: y + 14 }, short(low)),
      drawn("text", { x: WIDTH - LEFT, y: y + 14, "text-anchor": "end" }, short(high)));
  }

  listNames(groups) {
    for (const { group, people, colour } of groups) {
      const list = make("ul", {}, ...people.map(({ person, value }) => {
        const button = make("button", { type: "button", dataset: { person } },
          make("span", {}, person), make("span", {}, short(value)));
        button.setAttribute("aria-pressed", String(person === this.followed));
        button.addEventListener("click", () => this.follow(person));
        return make("li", {}, button);
      }));
      const head = make("h4", {}, group);
      head.style.color = colour;
      this.names.append(make("div", {}, head, list));
    }
  }

  /** Mark a person wherever the crosshair goes, until chosen again. */
  follow(person) {
    const held = this.names.scrollTop;
    this.followed = this.followed === person ? null : person;
    this.draw(this.mm);
    this.names.scrollTop = held;
    this.names.querySelector(`[data-person="${CSS.escape(person)}"]`)?.focus({ preventScroll: true });
  }
}
