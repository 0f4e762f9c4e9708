// A page of the study, inside the desk; it is loaded again when the study has written it again.

import { alarm, get, guarded, say } from "./api.js";

const asked = new URLSearchParams(location.search);
const name = asked.get("page") ?? "";
const study = encodeURIComponent(asked.get("study") ?? "signature");
const path = name.split("/").map(encodeURIComponent).join("/");
const frame = document.getElementById("page");
let known = "";

async function look() {
  const { stamp } = await get(`/api/stamp/${path}?study=${study}`);
  if (stamp !== known) {
    if (known !== "") say("The study has written this page again; what you see is the new one.");
    known = stamp;
    frame.src = `/reports/${path}?study=${study}&written=${stamp}`;
  }
}

document.getElementById("title").textContent = name === "group.html" ? "The group" : name.replace(/\.html$/, "");
document.getElementById("alone").href = `/reports/${path}?study=${study}`;
alarm("");
void guarded(look);
setInterval(() => void guarded(look), 3000);
