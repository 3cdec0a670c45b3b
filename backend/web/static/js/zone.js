// Times on the wall of a time zone. Pure: Intl knows the zones.

const parts = new Map();

/** Milliseconds that the zone's wall clock is ahead of UTC at t. */
export function offset(t, zone) {
  if (!parts.has(zone)) {
    const fields = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" };
    parts.set(zone, new Intl.DateTimeFormat("en-US", { timeZone: zone, hourCycle: "h23", ...fields }));
  }
  const found = Object.fromEntries(parts.get(zone).formatToParts(t).map(({ type, value }) => [type, Number(value)]));
  const wall = Date.UTC(found.year, found.month - 1, found.day, found.hour, found.minute, found.second);
  return wall - Math.floor(t / 1000) * 1000;
}

/** "2026-11-23T14:05" on the zone's wall, as <input type="datetime-local"> takes it. */
export function toWall(t, zone) {
  return new Date(t + offset(t, zone)).toISOString().slice(0, 16);
}

/** Unix ms of a wall time; null when it is none. An hour that the clocks skip is the one after it. */
export function fromWall(text, zone) {
  const wall = Date.parse(`${text}Z`);
  if (Number.isNaN(wall)) return null;
  const first = wall - offset(wall, zone);
  return wall - offset(first, zone);
}
