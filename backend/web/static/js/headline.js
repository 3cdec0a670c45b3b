// The state of everything in one sentence. Pure.

import { readings, span } from "./words.js";

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

function names(devices) {
  const shown = devices.slice(0, 3).map((device) => device.name);
  const rest = devices.length - shown.length;
  return rest ? `${shown.join(", ")} and ${rest} more` : shown.join(", ").replace(/, ([^,]*)$/, " and $1");
}

export function addsUp(ledger) {
  const parts = [ledger.archived, ledger.waiting_for_archive, ledger.waiting_on_device, ledger.lost];
  return parts.every((part) => part >= 0) && parts.reduce((sum, part) => sum + part, 0) === ledger.sampled;
}

function accounts(devices) {
  if (!devices.every((device) => addsUp(device.ledger))) return "the ledger does not add up";
  const lost = devices.reduce((sum, device) => sum + device.ledger.lost, 0);
  return lost ? `every reading accounted for, ${readings(lost)} lost in named gaps` : "every reading accounted for";
}

function troubles(devices, now) {
  const silent = devices.filter((device) => silence(device, now));
  const rest = devices.filter((device) => !silent.includes(device));
  const offline = rest.filter((device) => device.status === "offline");
  const faulty = rest.filter((device) => device.channels.some((channel) => channel.newest.fault));
  const found = [];
  if (silent.length === 1) found.push(`${silent[0].name} has been silent for ${span(silence(silent[0], now))}`);
  if (silent.length > 1) found.push(`${names(silent)} are silent`);
  if (offline.length) found.push(`${names(offline)} ${offline.length === 1 ? "is" : "are"} offline`);
  if (faulty.length) found.push(`${names(faulty)} ${faulty.length === 1 ? "has" : "have"} a sensor fault`);
  return found;
}

/** text: the sentence; rest: what it adds in a second, quieter one; mood: waiting, well or trouble. */
export function headline(devices, now) {
  const total = `${devices.length} ${devices.length === 1 ? "device" : "devices"}`;
  if (!devices.some(newestOf)) {
    const text = devices.length ? `${total}, waiting for the first reading.` : "Waiting for the first reading.";
    return { text, rest: "", mood: "waiting" };
  }
  const found = troubles(devices, now);
  const account = accounts(devices);
  const wrong = !devices.every((device) => addsUp(device.ledger));
  if (!found.length) return { text: `${total}, all well; ${account}.`, rest: "", mood: wrong ? "trouble" : "well" };
  return { text: `${found.join("; ")}.`, rest: `${account[0].toUpperCase()}${account.slice(1)}.`, mood: "trouble" };
}
