// One channel over a range: mean as a line, lowest to highest as a band, limits, hatched gaps, episodes, faults.

import { columns } from "./series.js";
import { clock, day, fixed, month } from "./words.js";

const FONT = "12px system-ui, sans-serif";
const DAY = 86_400;
// So many pixels of a gap are hatched however short it is, and from so many on its cause is written into it.
const LEAST_HATCH = 4;
const ROOM_FOR_WORDS = 90;

function ink(name) {
  return () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Chart {
  #plot = null;
  #shown = null;
  #alone = [];
  #element;
  #on;

  /** on: {cursor(point or null), select(since, until), layout()}. */
  constructor(element, on) {
    this.#element = element;
    this.#on = on;
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("blur", () => this.leave());
    new ResizeObserver(() => this.#resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot?.redraw());
  }

  get pixels() {
    return Math.max(200, this.#element.clientWidth);
  }

  /** The layer over the plot, for what is dragged; null before the first drawing. */
  get over() {
    return this.#plot?.over ?? null;
  }

  /** shown: {points, longestStep, since, until, unit, zone, limits, holes, episodes, marks}; times in ms. */
  draw(shown) {
    this.#shown = shown;
    const { data, alone } = columns(shown.points, shown.longestStep, shown.unit.of);
    this.#alone = alone;
    this.#plot ??= this.#make();
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: shown.since / 1000, max: shown.until / 1000 });
  }

  /** Pixels from the top of `over` to a value in the channel's unit, and back. */
  top(value) {
    return this.#plot.valToPos(this.#shown.unit.of(value), "y");
  }

  value(top) {
    return this.#shown.unit.back(this.#plot.posToVal(top, "y"));
  }

  leave() {
    this.#plot?.setCursor({ left: -10, top: -10 });
  }

  #make() {
    const plot = new uPlot(this.#options(), [[], [], [], []], this.#element);
    const touch = (event) => {
      if (event.pointerType === "mouse") return;
      const box = plot.over.getBoundingClientRect();
      plot.setCursor({ left: event.clientX - box.left, top: box.height / 2 });
    };
    plot.over.addEventListener("pointerdown", touch);
    plot.over.addEventListener("pointermove", touch);
    return plot;
  }

  #options() {
    // A line of its own: of a single reading, a spike, the band alone would be a shadow.
    const edge = { scale: "y", stroke: ink("--edge"), width: 1, points: { show: false } };
    const axis = { stroke: ink("--ink-soft"), font: FONT, grid: { stroke: ink("--grid"), width: 1 }, ticks: { show: false } };
    return {
      ...this.#size(),
      padding: [14, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: true }, points: { size: 9, fill: ink("--line") } },
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), this.#shown.zone),
      scales: { x: { time: true }, y: { range: (_, min, max) => this.#span(min, max) } },
      axes: [
        { ...axis, space: 64, size: 28, gap: 6, grid: { show: false }, values: (_, ticks, __, ___, step) => this.#times(ticks, step) },
        { ...axis, space: 36, size: 52, gap: 6, values: (_, ticks, __, ___, step) => ticks.map((tick) => this.#tick(tick, step)) },
      ],
      series: [
        {},
        {
          stroke: ink("--line"), width: 2,
          points: { show: true, size: 6, width: 0, fill: ink("--line"), filter: () => this.#alone },
        },
        edge, edge,
      ],
      bands: [{ series: [3, 2], fill: ink("--band") }],
      hooks: {
        drawClear: [(plot) => this.#drawBehind(plot)],
        // Only now do scales have their new ends.
        draw: [(plot) => this.#drawFaults(plot), () => this.#on.layout()],
        setCursor: [(plot) => this.#tell(plot)],
        setSelect: [(plot) => this.#select(plot)],
      },
    };
  }

  #size() {
    return { width: this.pixels, height: this.#element.clientHeight || 320 };
  }

  #resize() {
    if (this.#element.clientWidth) this.#plot?.setSize(this.#size());
  }

  // Noise of a hundredth of a degree must not fill the picture; a limit that is near belongs into it.
  #span(min, max) {
    const { unit, limits } = this.#shown;
    const lines = limits.map(({ limit }) => unit.of(limit));
    if (min === null || max === null) [min, max] = lines.length ? [Math.min(...lines), Math.max(...lines)] : [0, 1];
    const reach = 2 * Math.max(max - min, unit.least);
    const near = lines.filter((line) => line > min - reach && line < max + reach);
    [min, max] = [Math.min(min, ...near), Math.max(max, ...near)];
    const half = Math.max(max - min, unit.least) * 0.56;
    return [(min + max) / 2 - half, (min + max) / 2 + half];
  }

  #tick(value, step) {
    // As many decimals as the step itself has: 0.25 must not be labelled 0.3.
    return fixed(value, (String(Number(step.toPrecision(6))).split(".")[1] ?? "").length);
  }

  #times(ticks, step) {
    const { zone } = this.#shown;
    const words = step >= 25 * DAY ? month : step >= DAY ? day : null;
    if (words) return ticks.map((t) => words(t * 1000, zone));
    // Midnight is where the day is named.
    return ticks.map((t) => {
      const text = clock(t * 1000, zone);
      return text === "00:00" ? day(t * 1000, zone) : text;
    });
  }

  #drawBehind(plot) {
    if (!this.#shown) return;
    const { ctx, bbox } = plot;
    const { limits, holes, episodes, marks, unit } = this.#shown;
    const box = { left: bbox.left, right: bbox.left + bbox.width, top: bbox.top, bottom: bbox.top + bbox.height };
    const x = (t) => Math.min(box.right, Math.max(box.left, plot.valToPos(t / 1000, "x", true)));
    const y = (value) => Math.min(box.bottom, Math.max(box.top, plot.valToPos(unit.of(value), "y", true)));
    ctx.save();
    for (const { kind, limit } of limits) {
      const edge = y(limit);
      ctx.fillStyle = ink("--beyond")();
      if (kind === "high") ctx.fillRect(box.left, box.top, bbox.width, edge - box.top);
      else ctx.fillRect(box.left, edge, bbox.width, box.bottom - edge);
      line(ctx, [box.left, edge, box.right, edge], ink("--limit")(), [6, 4]);
    }
    for (const { begin, end, words } of holes) this.#hatch(ctx, box, x(begin), x(end), words);
    ctx.fillStyle = ink("--lost")();
    for (const { start, ended } of episodes) {
      ctx.fillRect(x(start), box.top - 6 * devicePixelRatio, Math.max(3, x(ended ?? this.#shown.until) - x(start)), 4 * devicePixelRatio);
    }
    for (const { t } of marks) line(ctx, [x(t), box.top, x(t), box.bottom], ink("--ink-soft")(), [2, 3]);
    ctx.restore();
  }

  #hatch(ctx, box, left, right, words) {
    const least = LEAST_HATCH * devicePixelRatio;
    const width = Math.max(least, right - left);
    if (right <= box.left || left >= box.right) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, box.top, width, box.bottom - box.top);
    ctx.clip();
    ctx.fillStyle = ink("--hole")();
    ctx.fillRect(left, box.top, width, box.bottom - box.top);
    const step = 8 * devicePixelRatio;
    const height = box.bottom - box.top;
    for (let at = left - height; at < left + width; at += step) {
      line(ctx, [at, box.bottom, at + height, box.top], ink("--hole-line")(), []);
    }
    if (width > ROOM_FOR_WORDS * devicePixelRatio) {
      ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "center";
      const middle = left + width / 2;
      const room = ctx.measureText(words).width + 12 * devicePixelRatio;
      if (room < width) {
        ctx.fillStyle = ink("--surface")();
        ctx.fillRect(middle - room / 2, box.top + 8 * devicePixelRatio, room, 20 * devicePixelRatio);
        ctx.fillStyle = ink("--ink")();
        ctx.fillText(words, middle, box.top + 22 * devicePixelRatio);
      }
    }
    ctx.restore();
  }

  #drawFaults(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = ink("--lost")();
    for (const point of this.#shown?.points ?? []) {
      const x = plot.valToPos(point.t / 1000, "x", true);
      if (point.faults && x >= bbox.left && x <= bbox.left + bbox.width) {
        ctx.fillRect(x - devicePixelRatio, bbox.top + bbox.height - 9 * devicePixelRatio, 2 * devicePixelRatio, 9 * devicePixelRatio);
      }
    }
    ctx.restore();
  }

  #tell(plot) {
    const t = plot.cursor.idx === null || plot.cursor.idx === undefined ? null : plot.data[0][plot.cursor.idx] * 1000;
    const point = t === null ? null : this.#shown.points.find((found) => Math.abs(found.t - t) < 1);
    this.#on.cursor(point && plot.cursor.left >= 0 ? point : null);
  }

  #select(plot) {
    const { left, width } = plot.select;
    if (width < 10) return;
    const [since, until] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#on.select(Math.round(since * 1000), Math.round(until * 1000));
  }

  #key(event) {
    if (event.target !== this.#element) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -24, PageDown: 24, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") this.leave();
    const { points } = this.#shown ?? { points: [] };
    if (!step || !points.length || !this.#plot) return;
    event.preventDefault();
    const last = points.length - 1;
    const x = this.#plot.cursor.left >= 0 ? this.#plot.posToVal(this.#plot.cursor.left, "x") * 1000 : Infinity;
    // Half a pixel: what the cursor's place is rounded to.
    const near = (this.#shown.until - this.#shown.since) / this.pixels / 2;
    let at = points.findIndex((point) => point.t >= x - near);
    at = Math.min(last, Math.max(0, (at < 0 ? last + (step < 0 ? 1 : 0) : at) + step));
    this.#plot.setCursor({ left: this.#plot.valToPos(points[at].t / 1000, "x"), top: 10 });
  }
}

function line(ctx, [x0, y0, x1, y1], colour, dashes) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dashes.map((length) => length * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
