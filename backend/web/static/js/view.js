// What the address holds: unit, time zone, and what a page adds. The same address shows the same in any browser.

import { moment } from "./words.js";

/** Carried from page to page. */
const CARRIED = ["unit", "tz"];

function isZone(name) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

class View extends EventTarget {
  #parameters = new URLSearchParams(location.search);

  /** "C" or "F". */
  get scale() {
    return this.#parameters.get("unit") === "F" ? "F" : "C";
  }

  /** An IANA name; the browser's own unless the address has one. */
  get zone() {
    const named = this.#parameters.get("tz");
    return named && isZone(named) ? named : Intl.DateTimeFormat().resolvedOptions().timeZone;
  }

  get(name) {
    return this.#parameters.get(name);
  }

  /** Change some of it; null takes it out. Tells "change", with the names of what became another. */
  set(values) {
    const changed = Object.keys(values).filter((name) => this.#parameters.get(name) !== values[name]);
    if (!changed.length) return;
    for (const name of changed) {
      if (values[name] === null || values[name] === "") this.#parameters.delete(name);
      else this.#parameters.set(name, values[name]);
    }
    const query = this.#parameters.toString();
    history.replaceState(history.state, "", query ? `?${query}` : location.pathname);
    this.carry();
    this.dispatchEvent(new CustomEvent("change", { detail: new Set(changed) }));
  }

  /** Give every link to a page of ours the unit and time zone that are looked at, and forms, for what follows them. */
  carry(root = document) {
    for (const link of root.querySelectorAll("a[data-carry]")) link.href = this.address(link.getAttribute("href"));
    for (const form of root.querySelectorAll("form[data-carry]")) form.action = this.address(form.getAttribute("action") ?? "");
  }

  /** Write the times that came with the page as the clocks of the time zone show them. */
  localise(root = document) {
    for (const time of root.querySelectorAll("time[data-local]")) {
      time.textContent = moment(Date.parse(time.dateTime), this.zone);
      time.title = time.dateTime;
    }
  }

  address(path) {
    const url = new URL(path, location.href);
    for (const name of CARRIED) {
      const value = this.#parameters.get(name);
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    return url.pathname + url.search + url.hash;
  }
}

export const view = new View();

/** The controls of view_controls.html, where a page has them. */
export function bindControls() {
  const buttons = [...document.querySelectorAll("[data-unit]")];
  const zone = document.getElementById("zone");
  const show = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.unit === view.scale));
    if (zone) zone.value = view.zone;
    view.localise();
  };
  for (const button of buttons) {
    button.addEventListener("click", () => view.set({ unit: button.dataset.unit === "C" ? null : button.dataset.unit }));
  }
  if (zone) {
    const names = new Set(["UTC", view.zone, ...Intl.supportedValuesOf("timeZone")]);
    zone.replaceChildren(...[...names].map((name) => new Option(name.replaceAll("_", " "), name)));
    zone.addEventListener("change", () => view.set({ tz: zone.value }));
  }
  view.addEventListener("change", show);
  show();
  view.carry();
}
