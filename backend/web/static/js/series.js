// A channel's range as points, and what charts and tables make of them. Pure.

const MINUTE = 60_000, HOUR = 3_600_000, DAY = 86_400_000;
export const RANGES = { "1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "1y": 365 * DAY };
const ROWS = 48;
const STEPS = [MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY, 91 * DAY];

/** The range on a grid of whole buckets, one a pixel: asked again a second later, old buckets are the same. */
export function grid({ since, until }, pixels) {
  const width = Math.max(1_000, Math.ceil((until - since) / pixels));
  const first = Math.floor(since / width) * width;
  return { since: first, until: Math.ceil(until / width) * width, buckets: Math.ceil(until / width) - first / width, width };
}

/** A bucket of the API as a point: one reading keeps its own time. */
export function fromBucket({ first, last, min, mean, max, values, faults }) {
  return { t: Math.round((first + last) / 2), first, last, min, mean, max, values, faults };
}

function fromNewest({ t, value, fault }) {
  const present = fault === null;
  return { t, first: t, last: t, min: value, mean: value, max: value, values: present ? 1 : 0, faults: present ? 0 : 1 };
}

/** Put a reading that is newer than all points into the last bucket if it lies there, else after it. */
export function append(points, newest, width) {
  const point = fromNewest(newest);
  const last = points.at(-1);
  if (!last || Math.floor(last.first / width) !== Math.floor(point.t / width)) points.push(point);
  else points[points.length - 1] = { ...summary([last, point]), t: Math.round((last.first + point.t) / 2), first: last.first, last: point.t };
}

/** Columns for the chart, with a hole where silence or faults are; alone: indices without a neighbour to join. */
export function columns(points, longestStep, of = (value) => value) {
  const rows = [];
  points.forEach((point, i) => {
    if (i && point.first - points[i - 1].last > longestStep) {
      rows.push([(points[i - 1].last + point.first) / 2000, null, null, null]);
    }
    rows.push([point.t / 1000, of(point.mean), of(point.min), of(point.max)]);
  });
  const empty = (i) => !rows[i] || rows[i][1] === null;
  const alone = rows.flatMap((row, i) => (row[1] !== null && empty(i - 1) && empty(i + 1) ? [i] : []));
  const newest = rows.findLastIndex((row) => row[1] !== null);
  if (newest >= 0 && !alone.includes(newest)) alone.push(newest);
  return { data: [0, 1, 2, 3].map((k) => rows.map((row) => row[k])), alone };
}

/**
 * Where the range has no readings for longer than longestStep: [{begin, end, gap}]. gap: the ledger's gap that lies
 * there, with its cause; null: nobody has said why. until: what lies after it has not happened yet.
 */
export function holes(points, longestStep, gaps, until) {
  const found = [];
  points.forEach((point, i) => {
    const before = points[i - 1];
    if (before && point.first - before.last > longestStep) found.push({ begin: before.last, end: point.first });
  });
  const last = points.at(-1);
  if (last && until - last.last > longestStep) found.push({ begin: last.last, end: until });
  const explained = found.map((hole) => ({
    ...hole,
    gap: gaps.find(({ begin, end }) => (begin ?? -Infinity) < hole.end && (end ?? Infinity) > hole.begin) ?? null,
  }));
  const shown = new Set(explained.map(({ gap }) => gap));
  // A gap shorter than a bucket breaks no line; it is marked all the same.
  const hidden = gaps.filter((gap) => !shown.has(gap) && gap.begin !== null && gap.end !== null);
  return [...explained, ...hidden.map((gap) => ({ begin: gap.begin, end: gap.end, gap }))].sort((a, b) => a.begin - b.begin);
}

/** min, mean, max, values and faults over all points; min is null when there is no value. */
export function summary(points) {
  const sum = { min: null, mean: null, max: null, values: 0, faults: 0 };
  let total = 0;
  for (const point of points) {
    sum.faults += point.faults;
    if (!point.values) continue;
    sum.min = sum.min === null ? point.min : Math.min(sum.min, point.min);
    sum.max = sum.max === null ? point.max : Math.max(sum.max, point.max);
    total += point.mean * point.values;
    sum.values += point.values;
  }
  if (sum.values) sum.mean = total / sum.values;
  return sum;
}

/** Rows of a table, newest first: [start, summary]; their step is what cuts the range into a screenful. */
export function rows(points, range) {
  const step = STEPS.find((found) => range / found <= ROWS) ?? STEPS.at(-1);
  const groups = new Map();
  for (const point of points) {
    const start = Math.floor(point.t / step) * step;
    if (!groups.has(start)) groups.set(start, []);
    groups.get(start).push(point);
  }
  return [...groups].sort((a, b) => b[0] - a[0]).map(([start, members]) => [start, summary(members)]);
}
