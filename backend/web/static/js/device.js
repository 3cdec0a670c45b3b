// A device's card.

import { ChannelView } from "./channel.js";
import { part, setText, stamp } from "./dom.js";
import { silence } from "./headline.js";
import { count, span } from "./words.js";

const STATUS = { online: "Online", offline: "Offline" };

export class DeviceView {
  element = stamp("device-template");
  #device;
  #live;
  #channels = new Map();

  constructor(device, live) {
    this.#device = device;
    this.#live = live;
    setText(part(this.element, "name"), device.name);
    this.#write();
    this.#addChannels();
  }

  update(device) {
    const complete = this.#explains(device);
    this.#device = device;
    for (const channel of device.channels) this.#channels.get(channel.id)?.update(channel, complete);
    this.#addChannels();
    this.#write();
  }

  tick() {
    for (const channel of this.#channels.values()) channel.tick();
    this.#writeStatus();
  }

  draw() {
    for (const channel of this.#channels.values()) channel.draw();
  }

  /** The ledger says how many readings came: when those are just the ones told here, charts need no reload. */
  #explains(device) {
    const told = device.channels.filter((channel) => this.#channels.get(channel.id)?.differs(channel) ?? true);
    return device.ledger.stored - this.#device.ledger.stored === told.length;
  }

  #addChannels() {
    for (const channel of this.#device.channels) {
      if (this.#channels.has(channel.id)) continue;
      const view = new ChannelView(channel, this.#live);
      this.#channels.set(channel.id, view);
      part(this.element, "channels").append(view.element);
    }
    part(this.element, "waiting").hidden = this.#channels.size > 0;
  }

  #write() {
    part(this.element, "new").hidden = this.#device.enrolled;
    this.#writeStatus();
    this.#writeHealth();
  }

  #writeStatus() {
    const { status } = this.#device;
    const silent = silence(this.#device, this.#live.now);
    const quiet = silent && status !== "offline";
    part(this.element, "status").dataset.status = quiet ? "silent" : (status ?? "unknown");
    setText(part(this.element, "status-text"), quiet ? `Silent for ${span(silent)}` : (STATUS[status] ?? "Not heard yet"));
  }

  #writeHealth() {
    const health = this.#device.health ?? {};
    const facts = [
      ["Firmware", health.firmware],
      ["Wi-Fi", typeof health.rssi === "number" ? `${String(health.rssi).replace("-", "\u2212")} dBm` : null],
      ["Running for", typeof health.uptime === "number" ? span(health.uptime * 1000) : null],
      ["Last start", health.reset],
      ["Outbox", health.outbox ? `${count(health.outbox.depth)} of ${count(health.outbox.capacity)} readings` : null],
      ["Free memory", typeof health.free === "number" ? `${count(Math.round(health.free / 1024))} KiB` : null],
    ].filter(([, fact]) => fact !== null && fact !== undefined);
    part(this.element, "about").hidden = !facts.length;
    part(this.element, "health").replaceChildren(
      ...facts.flatMap(([name, fact]) => [named("dt", name), named("dd", String(fact))]),
    );
  }
}

function named(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
