// What every page of the desk shares: requests whose errors become a sentence, and the bar.

const PAGES = [
  ["patients", "Patients"], ["import", "Import"], ["run", "Run"], ["look", "Look"],
  ["draw", "Draw"], ["plan", "Plan"], ["cohort", "Cohort"], ["genes", "Genes"],
];

/** An error that the server explained in a sentence; `code` is the status of the answer. */
export class Refusal extends Error {
  constructor(text, code) {
    super(text);
    this.code = code;
  }
}

/** Ask the desk; the JSON of its answer, or a Refusal with its sentence. */
export async function ask(method, path, content, { body, signal } = {}) {
  const headers = content === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, {
      method, headers, signal, credentials: "same-origin",
      body: content === undefined ? body : JSON.stringify(content),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The desk does not answer. Start falx desk again: nothing is lost.", 0);
  }
  let found = {};
  try {
    found = await answer.json();
  } catch {
    if (answer.ok) throw new Refusal("The desk answered what the page cannot read.", 0);
  }
  if (!answer.ok) {
    const text = found.error ?? `The desk refused (${answer.status}).`;
    const named = /^(sub-|\/|[a-z]+\.[a-z])/.test(text); // a name keeps its letters
    throw new Refusal(named ? text : text.charAt(0).toUpperCase() + text.slice(1), answer.status);
  }
  return found;
}

export const get = (path, more) => ask("GET", path, undefined, more);
export const post = (path, content = {}, more) => ask("POST", path, content, more);
export const put = (path, content, more) => ask("PUT", path, content, more);
export const drop = (path) => ask("DELETE", path);

/** Say what went wrong, in the region that screen readers speak at once; "" clears it. */
export function alarm(what) {
  const region = document.getElementById("alert");
  if (region === null) return;
  const text = what instanceof Error ? what.message : String(what ?? "");
  region.textContent = text;
  if (text !== "" && !(what instanceof Refusal) && what instanceof Error) throw what;
}

/** Say what went well, politely. */
export function say(text) {
  const region = document.getElementById("status");
  if (region !== null) region.textContent = text;
}

/** Run something of the page; a refusal becomes its alarm. */
export async function guarded(work) {
  try {
    alarm("");
    return await work();
  } catch (error) {
    alarm(error);
    return undefined;
  }
}

/** Make an element: make("a", { href: "/run", class: "go" }, "Run", child, …). */
export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Fill the bar of pages; the one that is open is marked. */
export function bar() {
  const here = location.pathname.replace(/^\//, "") || "patients";
  const links = PAGES.map(([page, title]) => {
    const current = page === here ? "page" : null;
    const href = page === "patients" ? "/" : `/${page}`;
    return make("li", {}, make("a", { href, "aria-current": current }, title));
  });
  document.getElementById("bar").replaceChildren(
    make("span", { class: "brand" }, "Falx", make("span", { class: "soft" }, " desk")),
    make("nav", { "aria-label": "Pages" }, make("ul", {}, ...links)),
    make("p", { class: "notice" }, "Research software: it must not decide a treatment."),
  );
}

bar();
