// The last hour of one channel: mean as a line, lowest to highest as a band, faults as ticks at the bottom.

import { HOUR, columns } from "./series.js";
import { clock, clockSeconds, fixed, quantity, unit } from "./words.js";

const FONT = "12px system-ui, sans-serif";

function ink(name) {
  return () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Chart {
  #plot = null;
  #points = [];
  #alone = [];
  #unit;
  #element;
  #onCursor;

  /** onCursor(text or null): what is under the cursor, in words. */
  constructor(element, unitName, onCursor) {
    this.#element = element;
    this.#unit = unitName;
    this.#onCursor = onCursor;
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("blur", () => this.#leave());
    new ResizeObserver(() => this.#resize()).observe(element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot?.redraw());
  }

  draw(points, longestStep, now) {
    this.#points = points;
    const { data, alone } = columns(points, longestStep);
    this.#alone = alone;
    this.#plot ??= this.#make();
    this.#plot.setData(data, false);
    this.#plot.setScale("x", { min: (now - HOUR) / 1000, max: now / 1000 });
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
    const edge = { scale: "y", stroke: "transparent", width: 0, points: { show: false } };
    const axis = { stroke: ink("--ink-soft"), font: FONT, grid: { stroke: ink("--grid"), width: 1 }, ticks: { show: false } };
    return {
      ...this.#size(),
      padding: [12, 20, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false }, points: { size: 9, fill: ink("--line") } },
      scales: { x: { time: true }, y: { range: (_, min, max) => this.#span(min, max) } },
      axes: [
        { ...axis, space: 52, size: 28, gap: 6, grid: { show: false }, values: (_, ticks) => ticks.map((t) => clock(t * 1000)) },
        { ...axis, space: 36, size: 46, gap: 6, values: (_, ticks, __, ___, step) => ticks.map((tick) => this.#tick(tick, step)) },
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
      hooks: { setCursor: [(plot) => this.#tell(plot)], draw: [(plot) => this.#drawFaults(plot)] },
    };
  }

  #size() {
    return { width: Math.max(200, this.#element.clientWidth), height: this.#element.clientHeight || 180 };
  }

  #resize() {
    if (this.#element.clientWidth) this.#plot?.setSize(this.#size());
  }

  // Noise of a hundredth of a degree must not fill the picture.
  #span(min, max) {
    if (min === null || max === null) return [0, 1];
    const half = Math.max(max - min, unit(this.#unit).least) * 0.58;
    return [(min + max) / 2 - half, (min + max) / 2 + half];
  }

  #tick(value, step) {
    // As many decimals as the step itself has: 0.25 must not be labelled 0.3.
    return fixed(value, (String(Number(step.toPrecision(6))).split(".")[1] ?? "").length);
  }

  #drawFaults(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = ink("--lost")();
    for (const point of this.#points) {
      const x = plot.valToPos(point.t / 1000, "x", true);
      if (point.faults && x >= bbox.left && x <= bbox.left + bbox.width) {
        ctx.fillRect(x - devicePixelRatio, bbox.top + bbox.height - 9 * devicePixelRatio, 2 * devicePixelRatio, 9 * devicePixelRatio);
      }
    }
    ctx.restore();
  }

  #tell(plot) {
    const t = plot.cursor.idx === null ? null : plot.data[0][plot.cursor.idx] * 1000;
    const point = t === null ? null : this.#points.find((found) => Math.abs(found.t - t) < 1);
    if (!point || plot.cursor.left < 0) return this.#onCursor(null);
    const spread = point.values > 1 ? ` (${fixed(point.min, 2)} to ${fixed(point.max, 2)})` : "";
    this.#onCursor(`${clockSeconds(point.t)}: ${point.values ? quantity(point.mean, this.#unit) + spread : "fault"}`);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") this.#leave();
    if (!step || !this.#points.length || !this.#plot) return;
    event.preventDefault();
    const last = this.#points.length - 1;
    const x = this.#plot.cursor.left >= 0 ? this.#plot.posToVal(this.#plot.cursor.left, "x") * 1000 : Infinity;
    let at = this.#points.findIndex((point) => point.t >= x - 500);
    at = Math.min(last, Math.max(0, (at < 0 ? last + (step < 0 ? 1 : 0) : at) + step));
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#points[at].t / 1000, "x"), top: 10 });
  }

  #leave() {
    this.#plot?.setCursor({ left: -10, top: -10 });
  }
}
