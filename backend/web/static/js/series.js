// A channel's last hour as points, and what charts and tables make of them. Pure.

export const HOUR = 3_600_000;
const WIDTH = 10_000;
export const BUCKETS = HOUR / WIDTH + 1;

/** The hour's range on a grid of whole buckets: asked again a second later, old buckets are the same. */
export function range(now) {
  const since = Math.floor((now - HOUR) / WIDTH) * WIDTH;
  return { since, until: since + BUCKETS * WIDTH };
}

/** A bucket of the API as a point: one reading keeps its own time. */
export function fromBucket({ first, last, min, mean, max, values, faults }) {
  return { t: Math.round((first + last) / 2), last, min, mean, max, values, faults };
}

export function fromNewest({ t, value, fault }) {
  const present = fault === null;
  return { t, last: t, min: value, mean: value, max: value, values: present ? 1 : 0, faults: present ? 0 : 1 };
}

/** Columns for the chart, with a hole where silence or faults are; alone: indices without a neighbour to join. */
export function columns(points, longestStep) {
  const rows = [];
  points.forEach((point, i) => {
    if (i && point.t - points[i - 1].last > longestStep) {
      rows.push([(points[i - 1].last + point.t) / 2000, null, null, null]);
    }
    rows.push([point.t / 1000, point.mean, point.min, point.max]);
  });
  const empty = (i) => !rows[i] || rows[i][1] === null;
  const alone = rows.flatMap((row, i) => (row[1] !== null && empty(i - 1) && empty(i + 1) ? [i] : []));
  const newest = rows.findLastIndex((row) => row[1] !== null);
  if (newest >= 0 && !alone.includes(newest)) alone.push(newest);
  return { data: [0, 1, 2, 3].map((k) => rows.map((row) => row[k])), alone };
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

/** Rows of five minutes, newest first: [start, summary]. */
export function rows(points, step = 300_000) {
  const groups = new Map();
  for (const point of points) {
    const start = Math.floor(point.t / step) * step;
    if (!groups.has(start)) groups.set(start, []);
    groups.get(start).push(point);
  }
  return [...groups].sort((a, b) => b[0] - a[0]).map(([start, members]) => [start, summary(members)]);
}
