// The ledger as a picture: bars whose parts add up, the same numbers as a sum, and each gap in words.

import { part, setText, stamp } from "./dom.js";
import { addsUp } from "./headline.js";
import { cause, count, readings } from "./words.js";

const PARTS = [
  ["archived", "archived"],
  ["waiting_for_archive", "waiting for the archive"],
  ["waiting_on_device", "waiting on the device"],
  ["lost", "lost in named gaps"],
];
// A single reading among millions is still to be seen.
const LEAST = 8;
const GAPS_IN_TOTAL = 5;

export class LedgerView {
  #total = stamp("account-template");
  #devices = new Map();
  #list;

  /** list: where each device's own account goes; without it only the sum is shown. */
  constructor(total, list = null) {
    this.#list = list;
    total.append(this.#total);
  }

  update(devices) {
    const sum = Object.fromEntries(
      ["sampled", ...PARTS.map(([key]) => key)].map((key) => [key, devices.reduce((all, { ledger }) => all + ledger[key], 0)]),
    );
    drawBar(part(this.#total, "bar"), sum);
    for (const key of Object.keys(sum)) setText(part(this.#total, key), count(sum[key]));
    this.#total.classList.toggle("wrong", !addsUp(sum));
    const streams = devices.flatMap(({ ledger }) => ledger.streams);
    part(this.#total, "gaps").replaceChildren(...gapItems(streams, GAPS_IN_TOTAL, ({ device }) => `${device}: `));
    if (!this.#list) return;
    for (const device of devices) this.#updateDevice(device);
    devices.forEach(({ name }, place) => {
      const [wanted, there] = [this.#devices.get(name), this.#list.children[place]];
      // Moving an element takes the focus from it: only what is out of place moves.
      if (there !== wanted) this.#list.insertBefore(wanted, there ?? null);
    });
  }

  #updateDevice({ name, ledger }) {
    const element = this.#devices.get(name) ?? stamp("device-account-template");
    this.#devices.set(name, element);
    setText(part(element, "name"), name);
    setText(part(element, "note"), note(ledger));
    drawBar(part(element, "bar"), ledger);
    part(element, "streams").replaceChildren(...ledger.streams.map(streamElement));
  }
}

function note(ledger) {
  if (!addsUp(ledger)) return "does not add up";
  const away = ledger.waiting_on_device ? `, ${count(ledger.waiting_on_device)} on the device` : "";
  const lost = ledger.lost ? `, ${count(ledger.lost)} lost` : "";
  return `${count(ledger.sampled)} sampled${away}${lost}`;
}

function drawBar(svg, ledger) {
  const height = svg.viewBox.baseVal.height;
  const shown = PARTS.filter(([key]) => ledger[key] > 0);
  const free = 1000 - LEAST * shown.length;
  let x = 0;
  svg.replaceChildren(
    ...shown.map(([key]) => {
      const width = LEAST + (free * ledger[key]) / Math.max(1, ledger.sampled);
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const shape = { x, y: 0, width: Math.max(1, width), height, class: key.replaceAll("_", "-") };
      for (const [name, value] of Object.entries(shape)) rect.setAttribute(name, value);
      x += width;
      return rect;
    }),
  );
  svg.setAttribute("aria-label", equation(ledger));
}

function equation(ledger) {
  return `${count(ledger.sampled)} sampled = ${PARTS.map(([key, words]) => `${count(ledger[key])} ${words}`).join(" + ")}`;
}

function streamElement(stream) {
  const element = stamp("stream-template");
  setText(part(element, "stream"), stream.stream);
  setText(part(element, "equation"), equation(stream));
  part(element, "gaps").replaceChildren(...gapItems([stream], Infinity, () => ""));
  return element;
}

/** A list item for each of the newest gaps, and one for those not listed. */
function gapItems(streams, most, prefix) {
  const gaps = streams.flatMap((stream) => [...stream.gaps].reverse().map((gap) => [stream, gap])).slice(0, most);
  const lines = gaps.map(([stream, gap]) => {
    const where = gap.first === gap.last ? `number ${count(gap.first)}` : `numbers ${count(gap.first)} to ${count(gap.last)}`;
    return `${prefix(stream)}${readings(gap.readings)} lost (${where}): ${cause(gap.cause)}.`;
  });
  const more = streams.reduce((sum, stream) => sum + stream.gap_count, 0) - gaps.length;
  if (more) lines.push(`${count(more)} more ${more === 1 ? "gap" : "gaps"}.`);
  if (!lines.length) lines.push("No gaps: nothing is lost.");
  return lines.map((text) => Object.assign(document.createElement("li"), { textContent: text }));
}
