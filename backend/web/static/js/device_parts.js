// The device page's lists and tables. Each is made anew from what it is handed.

import { element, setText } from "./dom.js";
import { rows } from "./series.js";
import { cause, clock, count, dBm, fixed, moment, number, quantity, readings, short, span } from "./words.js";

const byId = (id) => document.getElementById(id);
const STEPS = { 300_000: "means of 5 min", 3_600_000: "hourly means" };

function facts(list, pairs) {
  list.replaceChildren(
    ...pairs.map(([name, value, note]) => {
      const entry = element("div", "");
      entry.append(element("dt", name), element("dd", value));
      if (note) entry.append(element("dd", note, { class: "fine" }));
      return entry;
    }),
  );
}

export function showStatistics(found, channel, unit) {
  if (!found?.values) {
    facts(byId("statistics"), []);
    setText(byId("statistics-note"), "");
    return;
  }
  const pairs = [
    ["Lowest", quantity(found.min, unit)],
    ["Mean", quantity(found.mean, unit)],
    ["Highest", quantity(found.max, unit)],
  ];
  if (found.mkt !== undefined && found.mkt !== null) pairs.push(["Mean kinetic", quantity(found.mkt, unit)]);
  if (found.outside) {
    const { above, below, unknown, within } = found.outside;
    const total = above + below + within + unknown;
    pairs.push(["Outside the limits", above + below ? span(above + below) : "never", share(above + below, total)]);
    pairs.push(["Unknown", unknown > channel.stale_after ? span(unknown) : "nothing", share(unknown, total)]);
  } else if (channel.limits.length) pairs.push(["Outside the limits", "—", "too many readings: choose a shorter range"]);
  pairs.push(["Readings", count(found.values), found.faults ? `and ${count(found.faults)} faults` : ""]);
  facts(byId("statistics"), pairs);
  const made = found.step ? `, of ${STEPS[found.step]}` : "";
  const energy = found.activation_energy ? fixed(found.activation_energy / 1000, 3) : "";
  setText(byId("statistics-note"), energy && `Mean kinetic temperature as in USP <1079>, with an activation energy of ${energy} kJ/mol${made}.`);
}

function share(part, total) {
  if (!part || !total) return "";
  const percent = (100 * part) / total;
  return percent < 0.1 ? "less than 0.1 % of the time" : `${fixed(percent, percent < 10 ? 1 : 0)} % of the time`;
}

export function showGaps(holes, unit, zone, range) {
  byId("gaps-section").hidden = !holes.length;
  const said = (t) => short(t, zone, range.until - range.since);
  byId("gaps").replaceChildren(
    ...[...holes].reverse().map(({ begin, end, gap }) => {
      const what = gap
        ? `${readings(gap.readings)} lost: ${cause(gap.cause)}`
        : "no readings; the device was off, or they are still on their way";
      return element("li", `${said(begin)} to ${said(end)} (${span(end - begin)}): ${what}.`);
    }),
  );
}

export function showTable(table, points, range, unit, zone) {
  if (!table.open) return;
  const value = (found) => (found === null ? "—" : number(found, unit));
  byId("rows").replaceChildren(
    ...rows(points, range.until - range.since).map(([start, sum]) => {
      const row = document.createElement("tr");
      const counted = sum.faults ? `${count(sum.values)} + ${count(sum.faults)} faults` : count(sum.values);
      const from = range.until - range.since <= 3_600_000 ? clock(start, zone) : short(start, zone, Infinity);
      for (const text of [from, value(sum.min), value(sum.mean), value(sum.max), counted]) row.insertCell().append(text);
      return row;
    }),
  );
}

export function showAlerts(device, channel, episodes, unit, zone, now) {
  const rules = channel.limits.map(
    ({ name, kind, limit, severity }) => `${name}: ${kind === "high" ? "above" : "below"} ${quantity(limit, unit)}, ${severity}.`,
  );
  byId("rules").replaceChildren(...(rules.length ? rules : ["No limit is watched on this channel."]).map((text) => element("li", text)));
  const told = episodes.map(({ name, start, ended, peak, acknowledged_by: who }) => {
    const lasting = ended === null ? `for ${span(now - start)}, still going on` : `for ${span(ended - start)}`;
    const worst = peak === null ? "" : `, worst value ${quantity(peak, unit)}`;
    return `${name}: since ${moment(start, zone)} ${lasting}${worst}${who ? `, seen by ${who}` : ""}.`;
  });
  byId("episodes").replaceChildren(...(told.length ? told : ["None in this range."]).map((text) => element("li", text)));
}

export function showHealth(device) {
  const health = device.health ?? {};
  const { outbox } = health;
  const is = (value, words) => (typeof value === "number" ? words(value) : "not told");
  facts(byId("health"), [
    ["Firmware", health.firmware ?? "not told"],
    ["Wi-Fi", is(health.rssi, dBm), typeof health.rssi === "number" ? strength(health.rssi) : ""],
    ["Running for", is(health.uptime, (seconds) => span(seconds * 1000))],
    ["Last start", health.reset ?? "not told"],
    ["Outbox", outbox ? `${count(outbox.depth)} of ${count(outbox.capacity)} readings` : "not told"],
    ["Free memory", is(health.free, (bytes) => `${count(Math.round(bytes / 1024))} KiB`)],
    ["Settings", is(health.settings, (revision) => `r${revision}`)],
  ]);
}

function strength(rssi) {
  if (rssi >= -67) return "strong";
  return rssi >= -75 ? "fair" : "weak: a reading may need several tries";
}

