// A run that is followed until it has ended, by the events of the desk.

export function duration(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** Call `seen` at every change and `ended` once with how it stands then; return what can be closed. */
export function followed(standing, seen, ended) {
  if (standing.state !== "running") {
    ended(standing);
    return { close() {} };
  }
  const stream = new EventSource(`/api/runs/${standing.run.id}/events`);
  stream.onmessage = (event) => {
    const latest = JSON.parse(event.data);
    seen(latest);
    if (latest.state === "running") return;
    stream.close();
    ended(latest);
  };
  return stream;
}
