// The device page's Settings: what people call it; and what it is wanted to run, which travels to it.

import { setText } from "./dom.js";
import { Refused, patch, put, read } from "./requests.js";

const byId = (id) => document.getElementById(id);
/** Of the settings that may be wanted, those that have a field here; the others stay as they are. */
const FIELDS = ["interval", "state_every", "oversample"];
const path = () => `/api/v1/devices/${encodeURIComponent(byId("device").dataset.name)}`;
let shown = "";

/** As the device tells of itself; what is wanted is asked for when that changes. */
export function showSettings(device) {
  const now = `${device.health?.settings} ${device.health_at}`;
  if (now === shown || byId("panel-settings").hidden) return;
  shown = now;
  loadSettings();
}

async function loadSettings() {
  try {
    const { body } = await read(`${path()}/settings`);
    const running = body.running === null ? "it has not told which it runs" : `running r${body.running}`;
    const refused = body.refused ? ` It refused r${body.refused}: ${body.error}` : "";
    setText(byId("revision"), `${body.revision ? `Wanted r${body.revision} / ` : ""}${running}.${refused}`);
    for (const name of FIELDS) byId("settings-form").elements[name].value = body.wanted[name] ?? "";
  } catch {
    // It is asked again with the device's next word.
    shown = "";
  }
}

async function save(form, change) {
  const told = form.querySelector("[data-told]");
  try {
    await change();
    setText(told, "Saved.");
  } catch (error) {
    setText(told, error instanceof Refused ? error.message : "The server does not answer. Nothing was saved.");
  }
}

byId("words-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const { elements } = event.target;
  const change = Object.fromEntries(["label", "place", "note"].map((name) => [name, elements[name].value.trim() || null]));
  save(event.target, async () => patch(path(), (await read(path())).tag, change));
});
byId("settings-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const { elements } = event.target;
  const change = Object.fromEntries(FIELDS.map((name) => [name, elements[name].value === "" ? null : Number(elements[name].value)]));
  save(event.target, async () => {
    const { body, tag } = await read(`${path()}/settings`);
    await put(`${path()}/settings`, tag, { ...body.wanted, ...change });
    await loadSettings();
  });
});
