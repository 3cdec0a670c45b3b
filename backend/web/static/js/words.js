// Numbers, units, ages and causes in words. Pure.

const same = (value) => value;
const UNITS = {
  Cel: { sign: "°C", quantity: "Temperature", decimals: 2, least: 1, high: "too warm", low: "too cold" },
  "%RH": { sign: "% RH", quantity: "Humidity", decimals: 1, least: 2, high: "too damp", low: "too dry" },
  Pa: { sign: "hPa", quantity: "Pressure", decimals: 1, least: 100, factor: 0.01 },
  V: { sign: "V", quantity: "Voltage", decimals: 3, least: 0.1 },
  dBm: { sign: "dBm", quantity: "Signal", decimals: 0, least: 10 },
};
const FAHRENHEIT = { ...UNITS.Cel, sign: "°F", decimals: 1, factor: 1.8, zero: 32 };

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

/**
 * How a SenML unit is shown; scale: "C" or "F", for temperatures. `of` makes of a value what is shown, `back` the
 * reverse; `least` is the smallest span, in what is shown, that a chart fills its height with.
 */
export function unit(name, scale = "C") {
  const plain = Object.hasOwn(UNITS, name) ? UNITS[name] : { sign: name, quantity: "Reading", decimals: 2, least: 1 };
  const { factor = 1, zero = 0, ...shown } = name === "Cel" && scale === "F" ? FAHRENHEIT : plain;
  const identity = factor === 1 && zero === 0;
  return {
    high: "too high", low: "too low", ...shown, name, factor, least: shown.least * factor,
    of: identity ? same : (value) => (value === null ? null : value * factor + zero),
    back: identity ? same : (value) => (value - zero) / factor,
  };
}

export function fixed(value, decimals) {
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE);
  const text = fraction ? `${grouped}.${fraction}` : grouped;
  // What rounds to zero has no sign.
  return value < 0 && /[1-9]/.test(text) ? MINUS + text : text;
}

export function number(value, shown) {
  return fixed(shown.of(value), shown.decimals);
}

export function quantity(value, shown) {
  return `${number(value, shown)}\u00a0${shown.sign}`;
}

/** How far apart two values are: "3.1°", "12\u00a0% RH". */
export function distance(difference, shown) {
  const text = fixed(Math.abs(difference * shown.factor), Math.min(1, shown.decimals));
  return shown.sign.startsWith("°") ? `${text}°` : `${text}\u00a0${shown.sign}`;
}

export function count(value) {
  return fixed(value, 0);
}

export function readings(value) {
  return `${count(value)} ${value === 1 ? "reading" : "readings"}`;
}

export function dBm(value) {
  return `${fixed(value, 0)}\u00a0dBm`;
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

const formats = new Map();

function format(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(undefined, { timeZone: zone, hourCycle: "h23", ...options }));
  return formats.get(key);
}

export const clock = (t, zone) => format(zone, { hour: "2-digit", minute: "2-digit" }).format(t);
export const day = (t, zone) => format(zone, { day: "numeric", month: "short" }).format(t);
export const month = (t, zone) => format(zone, { month: "short", year: "numeric" }).format(t);
export const moment = (t, zone) => format(zone, { dateStyle: "medium", timeStyle: "medium" }).format(t);
/** As short as it may be where the whole range is `range` ms long. */
export function short(t, zone, range) {
  return range <= 2 * 86_400_000 ? clock(t, zone) : `${day(t, zone)}, ${clock(t, zone)}`;
}
