// The lines of alert rules over a chart: dragged, or moved with the arrow keys; changed only after a question.

import { element, setText } from "./dom.js";
import { Refused, patch, read } from "./requests.js";
import { quantity } from "./words.js";

const STEP = 0.5;
const byId = (id) => document.getElementById(id);

export class Limits {
  #chart;
  #limits = [];
  #unit = null;
  #handles = new Map();
  #moved = new Map();

  constructor(chart) {
    this.#chart = chart;
    byId("confirm-no").addEventListener("click", () => byId("confirm").close());
    byId("confirm").addEventListener("close", () => this.#reset());
  }

  /** The rules that have a line, and the unit they are shown in. */
  set(limits, unit) {
    this.#limits = limits;
    this.#unit = unit;
    this.layout();
  }

  /** Put each handle where its line is now. */
  layout() {
    const { over } = this.#chart;
    if (!over || !this.#unit) return;
    const known = new Set(this.#limits.map(({ rule }) => rule));
    for (const [rule, handle] of this.#handles) {
      if (!known.has(rule)) handle.remove();
    }
    for (const limit of this.#limits) {
      const handle = this.#handles.get(limit.rule) ?? this.#make(limit.rule);
      if (handle.parentElement !== over) over.append(handle);
      const value = this.#moved.get(limit.rule) ?? limit.limit;
      const top = this.#chart.top(value);
      // One that is being moved stays in the hand, at the edge of the picture.
      handle.hidden = !this.#moved.has(limit.rule) && !(top >= 0 && top <= over.clientHeight);
      handle.style.top = `${Math.min(over.clientHeight, Math.max(0, top))}px`;
      setText(handle, quantity(value, this.#unit));
      const { min, max } = this.#range();
      handle.setAttribute("aria-label", `Limit of “${limit.name}”`);
      handle.setAttribute("aria-valuenow", this.#unit.of(value).toFixed(2));
      handle.setAttribute("aria-valuemin", min.toFixed(2));
      handle.setAttribute("aria-valuemax", max.toFixed(2));
      handle.setAttribute("aria-valuetext", quantity(value, this.#unit));
    }
  }

  #range() {
    const { over } = this.#chart;
    return { min: this.#unit.of(this.#chart.value(over.clientHeight)), max: this.#unit.of(this.#chart.value(0)) };
  }

  #make(rule) {
    const handle = element("div", "", { class: "limit", role: "slider", tabindex: "0", "aria-orientation": "vertical" });
    this.#handles.set(rule, handle);
    handle.addEventListener("pointerdown", (event) => this.#drag(event, rule, handle));
    // The chart below must not take it for the choice of a range.
    handle.addEventListener("mousedown", (event) => event.stopPropagation());
    handle.addEventListener("keydown", (event) => this.#key(event, rule));
    return handle;
  }

  #drag(event, rule, handle) {
    event.preventDefault();
    event.stopPropagation();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const move = ({ clientY }) => {
      const { top, height } = this.#chart.over.getBoundingClientRect();
      this.#move(rule, this.#chart.value(Math.min(height, Math.max(0, clientY - top))));
    };
    handle.addEventListener("pointermove", move);
    const end = () => {
      handle.removeEventListener("pointermove", move);
      if (this.#moved.has(rule)) this.#ask(rule);
    };
    handle.addEventListener("pointerup", end, { once: true });
    handle.addEventListener("pointercancel", () => this.#reset(), { once: true });
  }

  #key(event, rule) {
    event.stopPropagation();
    const step = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
    if (event.key === "Escape") this.#reset();
    else if (event.key === "Enter" && this.#moved.has(rule)) this.#ask(rule);
    else if (step) this.#move(rule, this.#unit.back(this.#unit.of(this.#value(rule)) + step));
    else return;
    event.preventDefault();
  }

  #value(rule) {
    return this.#moved.get(rule) ?? this.#limits.find((limit) => limit.rule === rule).limit;
  }

  #move(rule, value) {
    // A tenth of what is shown is as fine as a finger is.
    this.#moved.set(rule, Number(this.#unit.back(Math.round(this.#unit.of(value) * 10) / 10).toFixed(4)));
    this.layout();
  }

  #ask(rule) {
    const limit = this.#limits.find((found) => found.rule === rule);
    const value = this.#moved.get(rule);
    const way = limit.kind === "high" ? "above" : "below";
    const said = (amount) => `${way} ${quantity(amount, this.#unit)}`;
    setText(byId("confirm-text"), `“${limit.name}” will tell of values ${said(value)} instead of ${said(limit.limit)}.`);
    setText(byId("confirm-told"), "");
    byId("confirm-yes").onclick = () => this.#change(rule, value);
    byId("confirm").showModal();
  }

  async #change(rule, value) {
    try {
      const path = `/api/v1/rules/${rule}`;
      const { tag } = await read(path);
      await patch(path, tag, { rule: { limit: value } });
      byId("confirm").close();
    } catch (error) {
      setText(byId("confirm-told"), error instanceof Refused ? error.message : "The server does not answer. Nothing was changed.");
    }
  }

  #reset() {
    this.#moved.clear();
    this.layout();
  }
}
