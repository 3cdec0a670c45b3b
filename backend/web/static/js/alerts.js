// The alerts page: as it came, and read again after every commit.

import { setText } from "./dom.js";
import { Live } from "./live.js";
import { view } from "./view.js";

const byId = (id) => document.getElementById(id);
const STATES = { connecting: "Connecting", live: "Live", polling: "Every 10 s", lost: "Not live", database: "Not live" };
// Ages and silence change without a commit.
const REDRAW = 15_000;

const live = new Live(Number(byId("alerts").dataset.commit), Number(byId("alerts").dataset.now));
let reading = false;
let again = false;

async function read() {
  if (reading) {
    again = true;
    return;
  }
  reading = true;
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("alerts");
    if (answer.ok && fresh) {
      put(fresh);
      tell(page);
      document.title = page.title;
    }
  } catch {
    // What is shown stays; the connection's state is told by live.
  }
  reading = false;
  if (again) {
    again = false;
    read();
  }
}

/** A screen reader says what changes here: only what says something else is written. */
function tell(page) {
  const [heading, fresh] = [byId("headline"), page.getElementById("headline")];
  setText(heading, fresh.textContent);
  heading.dataset.mood = fresh.dataset.mood;
  setText(byId("headline-rest"), page.getElementById("headline-rest").textContent);
}

/** What somebody has opened stays open, and the focus stays where it is. */
function put(fresh) {
  const before = byId("alerts");
  const focused = before.contains(document.activeElement) ? document.activeElement : null;
  // A list that somebody is choosing from is left alone until the next time.
  if (focused?.tagName === "SELECT") return;
  for (const part of before.querySelectorAll("details[open][id]")) {
    const same = fresh.querySelector(`#${CSS.escape(part.id)}`);
    if (same) same.open = true;
  }
  for (const chosen of before.querySelectorAll("select[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(chosen.id)}`);
    if (same) same.value = chosen.value;
  }
  view.carry(fresh);
  view.localise(fresh);
  before.replaceWith(fresh);
  if (focused?.id) byId(focused.id)?.focus();
}

live.addEventListener("change", read);
view.addEventListener("change", (event) => {
  if (event.detail.has("unit")) read();
});
live.addEventListener("state", () => {
  byId("connection").dataset.state = live.state;
  setText(byId("connection-text"), STATES[live.state]);
});
live.open();
setInterval(read, REDRAW);
