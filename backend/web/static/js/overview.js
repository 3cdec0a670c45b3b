// The overview: the state that came with the page, then every change as it is committed. Worst first, by place.

import { Card } from "./card.js";
import { showConnection } from "./connection.js";
import { copyFrom, setText } from "./dom.js";
import { headline, nameOf } from "./headline.js";
import { LedgerView } from "./ledger.js";
import { Live } from "./live.js";
import { view } from "./view.js";

const byId = (id) => document.getElementById(id);
// Cards that come into sight ask together for their day; the server takes so many at once.
const AT_ONCE = 100;
const RETRY = 3_000;
const NEW_DAY = 600_000;

const first = JSON.parse(byId("state").textContent);
const live = new Live(first.commit, first.now);
const devices = new Map();
const cards = new Map();
const groups = new Map();
const wanted = new Set();
const ledger = new LedgerView(byId("ledger-total"));
let order = "";
let asking = false;

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) wanted.add(target.dataset.name);
      else wanted.delete(target.dataset.name);
    }
    askForDays();
  },
  { rootMargin: "300px" },
);

function take(changed) {
  for (const device of changed) {
    devices.set(device.name, device);
    if (cards.has(device.name)) cards.get(device.name).update(device);
    else add(device);
  }
  byId("empty").hidden = devices.size > 0;
  byId("finder").hidden = !devices.size;
  byId("ledger").hidden = !devices.size;
  if (devices.size) ledger.update([...devices.values()]);
  tick();
  askForDays();
}

function add(device) {
  const card = new Card(device, live, view);
  card.element.dataset.name = device.name;
  cards.set(device.name, card);
  sight.observe(card.element);
}

/** Every second. */
function tick() {
  for (const card of cards.values()) card.tick();
  const { text, rest, mood } = headline([...devices.values()], live.now, view.scale);
  setText(byId("headline"), text);
  setText(byId("headline-rest"), rest);
  byId("headline").dataset.mood = mood;
  document.title = mood === "trouble" ? `(!) ${text} · Thermograph` : "Overview · Thermograph";
  arrange();
}

function arrange() {
  const ranked = [...cards.values()].map((card) => ({ card, ...card.condition() }));
  ranked.sort((a, b) => a.rank - b.rank || a.since - b.since || nameOf(a.card.device).localeCompare(nameOf(b.card.device)));
  const found = ranked.map(({ card }) => `${card.device.name}\n${card.device.place}`).join("\n");
  if (found === order) return;
  order = found;
  const places = new Map();
  for (const member of ranked) {
    const place = member.card.device.place || "";
    places.set(place, [...(places.get(place) ?? []), member]);
  }
  const sections = [...places].map(([place, members]) => {
    const section = groups.get(place) ?? group(place);
    groups.set(place, section);
    arrangeChildren(section.querySelector(".cards"), members.map(({ card }) => card.element));
    return section;
  });
  arrangeChildren(byId("devices"), sections);
  byId("devices").classList.toggle("one-place", places.size === 1 && places.has(""));
  filter();
}

/** Moving an element takes the focus from it: only what is out of place moves. */
function arrangeChildren(parent, elements) {
  elements.forEach((element, i) => {
    if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null);
  });
  while (parent.children.length > elements.length) parent.lastElementChild.remove();
}

function group(place) {
  const section = byId("group-template").content.firstElementChild.cloneNode(true);
  setText(section.querySelector("h2"), place || "Elsewhere");
  return section;
}

function filter() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const section of byId("devices").children) {
    let here = 0;
    for (const element of section.querySelectorAll(".device")) {
      const text = cards.get(element.dataset.name).searched;
      const fits = words.every((word) => text.includes(word));
      if (element.hidden === fits) element.hidden = !fits;
      here += fits;
    }
    section.hidden = !here;
    shown += here;
  }
  setText(byId("found"), words.length ? `${shown} of ${cards.size}` : "");
}

async function askForDays() {
  if (asking) return;
  const some = [...wanted].map((name) => cards.get(name)).filter((card) => card?.needsPoints).slice(0, AT_ONCE);
  if (!some.length) return;
  asking = true;
  const channels = some.map((card) => card.channel.id);
  try {
    const answer = await fetch(`/sparklines?channels=${channels}`);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const { width, days } = await answer.json();
    some.forEach((card, i) => card.channel.id === channels[i] && card.take(days[channels[i]] ?? [], width));
    asking = false;
    askForDays();
  } catch {
    // The connection's state is told elsewhere; the pictures come when the server does.
    setTimeout(() => {
      asking = false;
      askForDays();
    }, RETRY);
  }
}

/** What came late, or while the connection was lost, is in no event: pictures are made anew. */
function renewDays() {
  for (const card of cards.values()) card.forget();
  askForDays();
}

function keys(event) {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    byId("search").focus();
  } else if (event.key === "Escape" && event.target === byId("search")) {
    byId("search").value = "";
    byId("search").dispatchEvent(new Event("input"));
  }
}

byId("search").value = view.get("q") ?? "";
showConnection(live);
take(first.devices);
live.addEventListener("change", (event) => take(event.detail.devices));
live.addEventListener("state", () => live.state === "live" && renewDays());
live.open();
setInterval(tick, 1_000);
setInterval(renewDays, NEW_DAY);
view.addEventListener("change", ({ detail }) => {
  if (detail.has("q")) return;
  for (const card of cards.values()) {
    card.link();
    card.write();
  }
  tick();
});
byId("search").addEventListener("input", () => {
  filter();
  view.set({ q: byId("search").value.trim() || null });
});
document.addEventListener("keydown", keys);
byId("copy").addEventListener("click", () => copyFrom(byId("command"), byId("copied")));
