// Drawings between page and desk: bytes in gzip, and what is said of them in a header.
import { Refusal } from "./api.js";

const url = (path, about) => `${path}?about=${encodeURIComponent(JSON.stringify(about))}`;

export async function packed(bits) {
  const stream = new Blob([bits]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

export async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Send a drawing, or nothing, with a record; return the bytes and the record of the answer. */
export async function carry(method, path, about, body) {
  let answer;
  try {
    answer = await fetch(url(path, about), { method, body, credentials: "same-origin" });
  } catch {
    throw new Refusal("The desk does not answer. Start falx desk again: nothing is lost.", 0);
  }
  const said = answer.headers.get("X-About");
  if (answer.ok && said) return { about: JSON.parse(said), bytes: new Uint8Array(await answer.arrayBuffer()) };
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return { about: found, bytes: null };
  const text = found.error ?? `The desk refused (${answer.status}).`;
  throw new Refusal(text.charAt(0).toUpperCase() + text.slice(1), answer.status);
}

/** The greys of an image as the page draws them. */
export async function greys(path, about) {
  const { about: said, bytes } = await carry("GET", path, about);
  return { ...said, grey: new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2) };
}
