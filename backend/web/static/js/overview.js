// The overview: the state that came with the page, then every change as it is committed.

import { DeviceView } from "./device.js";
import { setText } from "./dom.js";
import { headline } from "./headline.js";
import { LedgerView } from "./ledger.js";
import { Live } from "./live.js";

const byId = (id) => document.getElementById(id);
const REDRAW = 5_000;

const STATES = { connecting: "Connecting", live: "Live", lost: "Not live", database: "Not live" };
const BANNERS = {
  lost: "The connection to the server is lost. Trying again; what is shown may be old.",
  database: "The server cannot reach its database. Readings wait at the broker and on the devices; nothing is lost.",
};

const first = JSON.parse(byId("state").textContent);
const live = new Live(first.commit, first.now);
const devices = new Map();
const views = new Map();
const ledger = new LedgerView(byId("ledger-total"), byId("ledger-devices"));

function take(changed) {
  for (const device of changed) {
    devices.set(device.name, device);
    if (views.has(device.name)) views.get(device.name).update(device);
    else views.set(device.name, new DeviceView(device, live));
  }
  const sorted = [...devices.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  sorted.forEach(({ name }, place) => {
    const { element } = views.get(name);
    if (byId("devices").children[place] !== element) byId("devices").insertBefore(element, byId("devices").children[place] ?? null);
  });
  byId("empty").hidden = sorted.length > 0;
  byId("ledger").hidden = !sorted.length;
  if (sorted.length) ledger.update(sorted);
  tick();
}

function tick() {
  for (const view of views.values()) view.tick();
  const { text, rest, mood } = headline([...devices.values()], live.now);
  setText(byId("headline"), text);
  setText(byId("headline-rest"), rest);
  byId("headline").dataset.mood = mood;
  document.title = mood === "trouble" ? `(!) ${text} · Thermograph` : "Thermograph";
}

function showState() {
  byId("connection").dataset.state = live.state;
  setText(byId("connection-text"), STATES[live.state]);
  byId("banner").hidden = !(live.state in BANNERS);
  setText(byId("banner"), BANNERS[live.state] ?? "");
}

async function copyCommand() {
  const text = byId("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
    setText(byId("copied"), "Copied.");
  } catch {
    // Browsers give the clipboard to https and localhost only: selected, it is one key away.
    getSelection().selectAllChildren(byId("command"));
    setText(byId("copied"), "Selected: copy it with your keyboard or menu.");
  }
}

take(first.devices);
live.addEventListener("change", (event) => take(event.detail.devices));
live.addEventListener("state", showState);
live.open();
setInterval(tick, 1_000);
setInterval(() => views.forEach((view) => view.draw()), REDRAW);
byId("copy").addEventListener("click", copyCommand);
