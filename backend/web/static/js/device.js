// One device: the range that the address names, of the channel that it names, live while it lasts.

import { Chart } from "./chart.js";
import { showConnection } from "./connection.js";
import { showSettings } from "./device_settings.js";
import { showAlerts, showGaps, showHealth, showStatistics, showTable } from "./device_parts.js";
import { setText } from "./dom.js";
import { condition, isStale, nameOf, silence } from "./headline.js";
import { LedgerView } from "./ledger.js";
import { Limits } from "./limits.js";
import { Live } from "./live.js";
import { RANGES, append, fromBucket, grid, holes, summary } from "./series.js";
import { bindTrace, readingAt, showTrace } from "./trace.js";
import { view } from "./view.js";
import { age, cause, fault, moment, number, quantity, readings, short, span, unit } from "./words.js";
import { fromWall, toWall } from "./zone.js";

const byId = (id) => document.getElementById(id);
const RETRY = 3_000;
const REDRAW = 5_000;
const FIGURES_AGAIN = 30_000;
const NO_FIGURES = { statistics: null, gaps: [], episodes: [], marks: [] };
const STATUS = { online: "Online", offline: "Offline" };

const first = JSON.parse(byId("state").textContent);
const live = new Live(first.commit, first.now);
let device = first.devices[0];
let points = null;
let width = 1_000;
let figures = NO_FIGURES;
let loading = false;
let again = false;
let cursor = null;

const chart = new Chart(byId("chart"), {
  cursor: (point) => {
    cursor = point;
    tell();
  },
  select: (since, until) => view.set({ range: "custom", from: iso(since), to: iso(until) }),
  layout: () => limits?.layout(),
});
const limits = byId("device").dataset.mayChange === "true" ? new Limits(chart) : null;
const ledger = new LedgerView(byId("ledger-total"), byId("ledger-devices"));

function channel() {
  return device.channels.find(({ id }) => String(id) === view.get("channel")) ?? device.channels[0];
}

function shown(of = channel()) {
  return unit(of.unit, view.scale);
}

function iso(t) {
  return new Date(t).toISOString();
}

/** {name, since, until, moves}: what the address asks for; moves: it ends now, whenever that is. */
function range() {
  const [since, until] = [Date.parse(view.get("from")), Date.parse(view.get("to"))];
  if (view.get("range") === "custom" && since < until) return { name: "custom", since, until, moves: false };
  const name = Object.hasOwn(RANGES, view.get("range")) ? view.get("range") : "24h";
  return { name, since: live.now - RANGES[name], until: live.now, moves: true };
}

async function load() {
  if (loading) {
    again = true;
    return;
  }
  if (!channel()) return;
  loading = true;
  try {
    do {
      again = false;
      const asked = range();
      const { id } = channel();
      const cut = grid(asked, chart.pixels);
      const answer = await fetch(`/api/v1/channels/${id}/series?since=${cut.since}&until=${cut.until}&buckets=${cut.buckets}`);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const series = await answer.json();
      if (again || id !== channel().id) continue;
      points = series.buckets.map(fromBucket);
      width = series.width;
    } while (again);
  } catch {
    // The connection's state is told elsewhere; the picture comes when the server does.
    setTimeout(load, RETRY);
  } finally {
    loading = false;
  }
  draw();
  loadFigures();
}

let figuring = 0;
async function loadFigures() {
  if (!channel()) return;
  const turn = ++figuring;
  const { since, until } = range();
  const asked = `since=${Math.floor(since)}&until=${Math.ceil(until)}`;
  try {
    const answer = await fetch(`/devices/${encodeURIComponent(device.name)}/channels/${channel().id}/figures?${asked}`);
    if (!answer.ok || answer.redirected) throw new Error(`status ${answer.status}`);
    const found = await answer.json();
    if (turn !== figuring) return;
    figures = found;
    draw();
    showFigures();
  } catch {
    setTimeout(() => turn === figuring && loadFigures(), RETRY);
  }
}

function draw() {
  if (points === null || byId("panel-data").hidden) return;
  const asked = range();
  const of = channel();
  if (asked.moves) points = points.filter((point) => point.last >= asked.since);
  const end = Math.min(asked.until, live.now);
  const empty = holes(points, of.stale_after, figures.gaps, end).map((hole) => ({ ...hole, words: holeWords(hole) }));
  chart.draw({
    points, longestStep: of.stale_after, since: asked.since, until: asked.until, unit: shown(), zone: view.zone,
    limits: of.limits, holes: empty, episodes: figures.episodes, marks: figures.marks,
  });
  limits?.set(of.limits, shown());
  byId("chart").setAttribute(
    "aria-label",
    `${shown().quantity}, ${byId("panel-data").dataset.range}. Left and right arrow keys read it point by point.`,
  );
  tell();
  showTable(byId("table"), points, asked, shown(), view.zone);
  showGaps(empty, shown(), view.zone, asked);
}

function holeWords({ gap, begin, end }) {
  return gap ? `${readings(gap.readings)} lost: ${cause(gap.cause)}` : `no readings for ${span(end - begin)}`;
}

function showFigures() {
  showStatistics(figures.statistics, channel(), shown());
  showAlerts(device, channel(), figures.episodes, shown(), view.zone, live.now);
}

/** What is under the cursor, or the range in one line. */
function tell() {
  const of = shown();
  const asked = range();
  byId("trace-here").hidden = !cursor;
  byId("readout").setAttribute("aria-live", cursor ? "polite" : "off");
  if (cursor) {
    const spread = cursor.values > 1 ? ` (${number(cursor.min, of)} to ${number(cursor.max, of)})` : "";
    const value = cursor.values ? quantity(cursor.mean, of) + spread : "fault";
    const marked = figures.marks.find(({ t }) => Math.abs(t - cursor.t) < (asked.until - asked.since) / 100);
    const mark = marked ? `; ${marked.text}` : "";
    return setText(byId("readout"), `${short(cursor.t, view.zone, asked.until - asked.since)}: ${value}${mark}`);
  }
  const { min, max, values, faults } = summary(points ?? []);
  const faulty = faults ? `, ${readings(faults)} with a fault` : "";
  setText(byId("readout"), values ? `${number(min, of)} to ${quantity(max, of)}${faulty}` : `No reading in this range${faulty}`);
}

function take(changed) {
  const found = changed.find(({ name }) => name === device.name);
  if (!found) return;
  const [before, now] = [channel(), found.channels.find(({ id }) => id === channel()?.id)];
  const told = found.channels.filter((other) => isNewer(device.channels.find(({ id }) => id === other.id), other));
  // The ledger says how many readings came: when those are just the ones told here, the chart needs no reload.
  const complete = found.ledger.stored - device.ledger.stored === told.length;
  device = found;
  write();
  if (!before || !now || points === null) load();
  else if (!complete || loading || (isNewer(before, now) && now.newest.t <= (points.at(-1)?.last ?? 0))) load();
  else if (isNewer(before, now) && range().moves) {
    append(points, now.newest, width);
    draw();
  } else draw();
}

function isNewer(before, now) {
  return !before || before.newest.stream !== now.newest.stream || before.newest.seq !== now.newest.seq;
}

function write() {
  setText(byId("name"), nameOf(device));
  setText(byId("place"), device.place ? `${device.place} · ` : "");
  byId("new").hidden = device.enrolled;
  const of = channel();
  byId("waiting").hidden = Boolean(of);
  byId("panel-data").toggleAttribute("data-empty", !of);
  writeChannels();
  if (of) {
    const { newest } = of;
    const failed = newest.fault !== null;
    byId("value").value = newest.value ?? "";
    setText(byId("value"), failed ? "—" : number(newest.value, shown()));
    setText(byId("unit"), failed ? "" : shown().sign);
    byId("fault").hidden = !failed;
    setText(byId("fault"), failed ? fault(newest.fault) : "");
    byId("estimated").hidden = newest.tq !== "estimated";
    byId("age").dateTime = iso(newest.t);
    byId("age").title = moment(newest.t, view.zone);
  }
  ledger.update([device]);
  showHealth(device);
  showSettings(device);
  tick();
}

function writeChannels() {
  byId("channels").hidden = device.channels.length < 2;
  byId("channels").replaceChildren(
    ...device.channels.map((one) => {
      const link = document.createElement("a");
      link.href = view.address(`${location.pathname}?channel=${one.id}`);
      link.textContent = `${shown(one).quantity}, ${one.sensor}`;
      if (one === channel()) link.setAttribute("aria-current", "true");
      link.addEventListener("click", (event) => {
        event.preventDefault();
        view.set({ channel: String(one.id) });
      });
      return link;
    }),
  );
}

/** Every second. */
function tick() {
  const now = live.now;
  const { text } = condition(device, now, view.scale);
  setText(byId("trouble"), text && `${nameOf(device)} ${text}.`);
  byId("trouble").hidden = !text;
  const silent = silence(device, now);
  const quiet = silent && device.status !== "offline";
  byId("status").dataset.status = quiet ? "silent" : (device.status ?? "unknown");
  setText(byId("status-text"), quiet ? `Silent for ${span(silent)}` : (STATUS[device.status] ?? "Not heard yet"));
  if (!channel()) return;
  setText(byId("age"), age(now - channel().newest.t));
  byId("value-line").classList.toggle("stale", isStale(channel(), now));
}

function showControls() {
  const { name, since, until } = range();
  byId("panel-data").dataset.range = name === "custom" ? "a chosen range" : `the last ${name}`;
  for (const button of document.querySelectorAll("[data-range][aria-pressed]")) {
    button.setAttribute("aria-pressed", String(button.dataset.range === name));
  }
  byId("custom").hidden = view.get("range") !== "custom";
  byId("from").value = toWall(since, view.zone);
  byId("to").value = toWall(until, view.zone);
  if (!channel()) return;
  const asked = new URLSearchParams({ format: "csv", since: Math.floor(since), until: Math.ceil(until), unit: view.scale, tz: view.zone });
  byId("csv").href = `/api/v1/channels/${channel().id}/readings?${asked}`;
  document.title = `${nameOf(device)} · Thermograph`;
}

function chooseRange(name) {
  if (name !== "custom") return view.set({ range: name, from: null, to: null });
  const { since, until } = range();
  view.set({ range: "custom", from: iso(since), to: iso(until) });
}

function chooseCustom(event) {
  event.preventDefault();
  const [since, until] = [fromWall(byId("from").value, view.zone), fromWall(byId("to").value, view.zone)];
  const wrong = since === null || until === null || since >= until;
  setText(byId("custom-told"), wrong ? "The first time has to lie before the second." : "");
  if (!wrong) view.set({ range: "custom", from: iso(since), to: iso(until) });
}

const tabs = [...document.querySelectorAll('[role="tab"]')];

function showTab() {
  const wanted = tabs.find((tab) => tab.id === `tab-${view.get("tab")}`) ?? tabs[0];
  for (const tab of tabs) {
    const chosen = tab === wanted;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  draw();
  showSettings(device);
}

function tabKeys(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
}

function onView({ detail }) {
  showControls();
  write();
  if (detail.has("tab")) showTab();
  if (["range", "from", "to", "channel"].some((name) => detail.has(name))) {
    points = detail.has("channel") ? null : points;
    figures = NO_FIGURES;
    chart.leave();
    load();
  } else {
    draw();
    if (figures !== NO_FIGURES) showFigures();
  }
}

bindTrace();
showConnection(live);
showControls();
write();
showTab();
load();
live.addEventListener("change", (event) => take(event.detail.devices));
live.open();
setInterval(tick, 1_000);
setInterval(draw, REDRAW);
setInterval(() => range().moves && loadFigures(), FIGURES_AGAIN);
view.addEventListener("change", onView);
for (const button of document.querySelectorAll("[data-range][aria-pressed]")) button.addEventListener("click", () => chooseRange(button.dataset.range));
for (const tab of tabs) {
  tab.addEventListener("click", () => view.set({ tab: tab === tabs[0] ? null : tab.id.slice("tab-".length) }));
  tab.addEventListener("keydown", tabKeys);
}
byId("custom").addEventListener("submit", chooseCustom);
byId("table").addEventListener("toggle", () => points && showTable(byId("table"), points, range(), shown(), view.zone));
byId("trace-newest").addEventListener("click", () => showTrace(device.name, channel().newest, view.zone));
byId("trace-here").addEventListener("click", async () => {
  const found = cursor && (await readingAt(channel().id, cursor.first));
  if (found) showTrace(device.name, found, view.zone);
});
