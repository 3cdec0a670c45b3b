// The fleet: a row a device, kept as commits come; and commands to copy.

import { showConnection } from "./connection.js";
import { copyFrom, setText } from "./dom.js";
import { condition, isTrouble, nameOf, newestOf, silence } from "./headline.js";
import { Live } from "./live.js";
import { age, count, dBm, span } from "./words.js";
import { view } from "./view.js";

const byId = (id) => document.getElementById(id);
const first = JSON.parse(byId("state").textContent);
const live = new Live(first.commit, first.now);
const devices = new Map();
const rows = new Map();

const COLUMNS = [
  ["State", ({ device }) => state(device)],
  ["Last reading", ({ device }) => (newestOf(device) ? age(live.now - newestOf(device).t) : "none yet")],
  ["Firmware", ({ health }) => health.firmware ?? "—"],
  ["Settings", ({ health }) => (typeof health.settings === "number" ? `r${health.settings}` : "—")],
  ["Wi-Fi", ({ health }) => (typeof health.rssi === "number" ? dBm(health.rssi) : "—")],
  ["Outbox", ({ health }) => (health.outbox ? `${count(health.outbox.depth)} of ${count(health.outbox.capacity)}` : "—")],
  ["Running for", ({ health }) => (typeof health.uptime === "number" ? span(health.uptime * 1000) : "—")],
];

function state(device) {
  if (!device.enrolled) return "New, not confirmed";
  if (device.status === "offline") return "Offline";
  const silent = silence(device, live.now);
  if (silent) return `Silent for ${span(silent)}`;
  return device.status === "online" ? "Online" : "Not heard yet";
}

function row(device) {
  const element = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  const link = Object.assign(document.createElement("a"), { href: `/devices/${encodeURIComponent(device.name)}?tab=health` });
  link.dataset.carry = "";
  head.append(link, document.createElement("small"));
  element.append(head);
  for (const [name] of COLUMNS) element.insertCell().dataset.name = name;
  return element;
}

function write(device) {
  const element = rows.get(device.name) ?? row(device);
  rows.set(device.name, element);
  setText(element.querySelector("a"), nameOf(device));
  setText(element.querySelector("small"), device.label ? device.name : "");
  COLUMNS.forEach(([, words], i) => setText(element.cells[i + 1], String(words({ device, health: device.health ?? {} }))));
}

function take(changed) {
  for (const device of changed) devices.set(device.name, device);
  tick();
  const sorted = [...devices.values()].sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  sorted.forEach(({ name }, i) => {
    if (byId("fleet").children[i] !== rows.get(name)) byId("fleet").insertBefore(rows.get(name), byId("fleet").children[i] ?? null);
  });
  view.carry(byId("fleet"));
}

function tick() {
  for (const device of devices.values()) write(device);
  const wrong = [...devices.values()].filter((device) => isTrouble(condition(device, live.now, view.scale))).length;
  const total = `${devices.size} ${devices.size === 1 ? "device" : "devices"}`;
  setText(byId("headline"), devices.size ? `${total}, ${wrong ? `${wrong} to look at` : "all fine"}.` : "No device yet.");
}

showConnection(live);
take(first.devices);
live.addEventListener("change", (event) => take(event.detail.devices));
live.open();
setInterval(tick, 1_000);
for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", () => copyFrom(button.parentElement.querySelector("code"), byId("copied")));
}
