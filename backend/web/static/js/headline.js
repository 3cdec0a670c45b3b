// What is wrong with each device, how badly, and the state of everything in one sentence. Pure.

import { distance, fault, readings, span, unit } from "./words.js";

const SEVERITY = { critical: 0, warning: 1, info: 2 };
/** Ranks of cards, worst first. */
const BROKEN = 3, SILENT = 4, OFFLINE = 5, UNACCOUNTED = 6, WAITING = 7, FINE = 8;
/** So many troubles are told one by one; of more, the worst. */
const NAMED = 2;

export function nameOf(device) {
  return device.label || device.name;
}

/** The newest reading of a device, or undefined. */
export function newestOf(device) {
  return device.channels.map((channel) => channel.newest).sort((a, b) => b.t - a.t)[0];
}

/** Milliseconds of silence when a device has been silent for too long, else 0. */
export function silence(device, now) {
  const newest = newestOf(device);
  if (!newest) return 0;
  const patience = Math.max(...device.channels.map((channel) => channel.stale_after));
  return now - newest.t > patience ? now - newest.t : 0;
}

export function isStale(channel, now) {
  return now - channel.newest.t > channel.stale_after;
}

export function addsUp(ledger) {
  const parts = [ledger.archived, ledger.waiting_for_archive, ledger.waiting_on_device, ledger.lost];
  return parts.every((part) => part >= 0) && parts.reduce((sum, part) => sum + part, 0) === ledger.sampled;
}

/** {rank, since, text}: how a device is; text continues a sentence that begins with its name, empty when it is fine. */
export function condition(device, now, scale) {
  const alert = [...device.alerts].sort((a, b) => SEVERITY[a.severity] - SEVERITY[b.severity] || a.start - b.start)[0];
  if (alert) return { rank: SEVERITY[alert.severity], since: alert.start, text: complaint(device, alert, now, scale) };
  const broken = device.channels.find((channel) => channel.newest.fault);
  if (broken) return { rank: BROKEN, since: broken.newest.t, text: `has a sensor fault: ${lower(fault(broken.newest.fault))}` };
  const silent = silence(device, now);
  if (silent) return { rank: SILENT, since: now - silent, text: `has been silent for ${span(silent)}` };
  if (device.status === "offline") return { rank: OFFLINE, since: device.status_at ?? now, text: "is offline" };
  if (!addsUp(device.ledger)) return { rank: UNACCOUNTED, since: now, text: "has a ledger that does not add up" };
  return { rank: newestOf(device) ? FINE : WAITING, since: 0, text: "" };
}

export const isTrouble = ({ rank }) => rank < WAITING;

/** The page's first sentence. text; rest: what it adds in a second, quieter one; mood: waiting, well or trouble. */
export function headline(devices, now, scale) {
  const heard = devices.filter(newestOf);
  if (!heard.length) {
    const total = `${devices.length} ${devices.length === 1 ? "device" : "devices"}`;
    const text = devices.length ? `${total}, waiting for the first reading.` : "Waiting for the first reading.";
    return { text, rest: "", mood: "waiting" };
  }
  const wrong = devices
    .map((device) => ({ device, ...condition(device, now, scale) }))
    .filter(isTrouble)
    .sort((a, b) => a.rank - b.rank || a.since - b.since);
  const rest = accounts(devices);
  if (!wrong.length) {
    const text = devices.length === 1 ? `${nameOf(devices[0])} is fine.` : `All ${devices.length} fine.`;
    return { text, rest, mood: "well" };
  }
  const told = wrong.slice(0, wrong.length > NAMED ? 1 : NAMED).map(({ device, text }) => `${nameOf(device)} ${text}`);
  if (wrong.length > NAMED) told.push(`${wrong.length - 1} more need a look`);
  const fine = devices.length > 1 ? `${devices.length - wrong.length} of ${devices.length} fine; ` : "";
  return { text: `${fine}${told.join("; ")}.`, rest, mood: "trouble" };
}

function complaint(device, alert, now, scale) {
  const channel = device.channels.find(({ id }) => id === alert.channel);
  const lasting = `for ${span(now - alert.start)}`;
  if (alert.kind === "silent") return `has sent no value ${lasting}`;
  if (alert.kind === "rise" || alert.kind === "fall") return `is ${alert.kind === "rise" ? "rising" : "falling"} too fast ${lasting}`;
  if (!channel || !["high", "low"].includes(alert.kind)) return `needs a look (${alert.name}) ${lasting}`;
  const shown = unit(channel.unit, scale);
  const value = channel.newest.value ?? alert.peak;
  const beyond = value === null ? 0 : alert.kind === "high" ? value - alert.limit : alert.limit - value;
  if (beyond <= 0) return `was ${shown[alert.kind]} and is coming back`;
  return `is ${distance(beyond, shown)} ${shown[alert.kind]} ${lasting}`;
}

function accounts(devices) {
  if (!devices.every((device) => addsUp(device.ledger))) return "The ledger does not add up.";
  const lost = devices.reduce((sum, device) => sum + device.ledger.lost, 0);
  return lost ? `Every reading accounted for, ${readings(lost)} lost in named gaps.` : "Every reading accounted for.";
}

function lower(text) {
  return text[0].toLowerCase() + text.slice(1);
}
