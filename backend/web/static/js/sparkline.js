// The last 24 hours of a channel on its card. Pure but for the SVG that is handed in.

export const DAY = 86_400_000;
const [WIDTH, HEIGHT, EDGE] = [240, 52, 3];
// A limit further away than this many heights of the picture is not shown: the line would be flat.
const FAR = 2;

/** Points [t, min, mean, max], and one more reading in its bucket or after it. */
export function append(points, { t, value }, width) {
  if (value === null) return;
  const last = points.at(-1);
  if (last && t - (t % width) <= last[0] - (last[0] % width)) {
    last[1] = Math.min(last[1], value);
    last[3] = Math.max(last[3], value);
    last[2] = value;
  } else points.push([t, value, value, value]);
}

/** "rising", "falling", "steady", or "" when too little is known: the newest value beside that of an hour before. */
export function trend(points, newest, least) {
  if (newest.value === null) return "";
  const before = points.filter(([t]) => t > newest.t - 5_400_000 && t <= newest.t - 2_700_000);
  if (!before.length) return "";
  const change = newest.value - before.reduce((sum, point) => sum + point[2], 0) / before.length;
  if (Math.abs(change) < 0.4 * least) return "steady";
  return change > 0 ? "rising" : "falling";
}

/** Paths of the band and the line, and where the limits lie. limits: {low, high}, either of them null. */
export function shape(points, limits, now, longestStep, least) {
  const shown = points.filter(([t]) => t > now - DAY);
  const values = shown.flatMap(([, min, , max]) => [min, max]);
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const span = Math.max(high - low, least);
  const near = [limits.low, limits.high].filter((limit) => limit !== null && limit > low - FAR * span && limit < high + FAR * span);
  [low, high] = [Math.min(low, ...near), Math.max(high, ...near)];
  const middle = (low + high) / 2;
  const half = Math.max(high - low, least) / 2;
  const x = (t) => round(((t - now + DAY) / DAY) * WIDTH);
  const y = (value) => round(EDGE + ((middle + half - value) / (2 * half)) * (HEIGHT - 2 * EDGE));
  const runs = split(shown, longestStep);
  return {
    line: runs.map((run) => trace(run.map(([t, , mean]) => [x(t), y(mean)]))).join(""),
    band: runs.map((run) => area(run.map(([t, min, , max]) => [x(t), y(max), y(min)]))).join(""),
    low: limits.low === null ? null : Math.min(HEIGHT, y(limits.low)),
    high: limits.high === null ? null : Math.max(0, y(limits.high)),
    height: HEIGHT,
  };
}

function split(points, longestStep) {
  const runs = [];
  for (const point of points) {
    if (!runs.length || point[0] - runs.at(-1).at(-1)[0] > longestStep) runs.push([]);
    runs.at(-1).push(point);
  }
  return runs;
}

function trace(points) {
  const [first, ...rest] = points;
  // A point without neighbours still leaves a dot: a line of no length with round ends.
  return `M${first}${(rest.length ? rest : [first]).map((point) => `L${point}`).join("")}`;
}

function area(points) {
  const [there, back] = [points.map(([x, top]) => [x, top]), points.map(([x, , bottom]) => [x, bottom]).reverse()];
  return `M${[...there, ...back].join("L")}Z`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
