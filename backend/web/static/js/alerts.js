// The alerts page: as it came, and read again after every commit.

import { setText } from "./dom.js";
import { Live } from "./live.js";

const byId = (id) => document.getElementById(id);
const STATES = { connecting: "Connecting", live: "Live", lost: "Not live", database: "Not live" };
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
      byId("alerts").replaceWith(fresh);
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

live.addEventListener("change", read);
live.addEventListener("state", () => {
  byId("connection").dataset.state = live.state;
  setText(byId("connection-text"), STATES[live.state]);
});
live.open();
setInterval(read, REDRAW);
