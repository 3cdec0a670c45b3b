// Numbers, units, ages and causes in words. Pure.

const UNITS = {
  Cel: { sign: "°C", quantity: "Temperature", decimals: 2, least: 1 },
  "%RH": { sign: "% RH", quantity: "Humidity", decimals: 1, least: 2 },
  Pa: { sign: "Pa", quantity: "Pressure", decimals: 0, least: 100 },
  V: { sign: "V", quantity: "Voltage", decimals: 3, least: 0.1 },
  dBm: { sign: "dBm", quantity: "Signal", decimals: 0, least: 10 },
};

const FAULTS = {
  absent: "The sensor does not answer",
  crc: "The sensor’s answer arrived garbled",
  "power-on": "The sensor lost power and has not measured yet",
  "out-of-range": "The sensor’s value is beyond what it can measure",
  stuck: "The sensor repeats one value: it seems stuck",
  timeout: "The sensor took too long to answer",
};

const CAUSES = {
  "flash-full": "the device’s flash was full",
  "flash-corrupt": "the device’s flash was damaged",
  "power-cut": "a power cut while it was being written",
  "backend-lost": "the backend lost what it had stored",
  rejected: "the device sent what could not be read",
};

const MINUS = "\u2212";
const THIN_SPACE = "\u202f";

export function unit(name) {
  return Object.hasOwn(UNITS, name) ? UNITS[name] : { sign: name, quantity: "Reading", decimals: 2, least: 1 };
}

export function fixed(value, decimals) {
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
  const text = fraction ? `${grouped}.${fraction}` : grouped;
  // What rounds to zero has no sign.
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

export function number(value, unitName) {
  return fixed(value, unit(unitName).decimals);
}

export function quantity(value, unitName) {
  return `${number(value, unitName)}\u00a0${unit(unitName).sign}`;
}

export function count(value) {
  return fixed(value, 0);
}

export function readings(value) {
  return `${count(value)} ${value === 1 ? "reading" : "readings"}`;
}

export function fault(name) {
  return Object.hasOwn(FAULTS, name) ? FAULTS[name] : `The sensor reports a fault: ${name}`;
}

export function cause(name) {
  return Object.hasOwn(CAUSES, name) ? CAUSES[name] : name.replaceAll("-", " ");
}

/** How long, in one unit: "12 s", "3 min", "5 h", "2 days". */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

export function age(milliseconds) {
  return milliseconds < 1000 ? "just now" : `${span(milliseconds)} ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });

export const clock = (t) => CLOCK.format(t);
export const clockSeconds = (t) => SECONDS.format(t);
export const moment = (t) => DAY.format(t);
