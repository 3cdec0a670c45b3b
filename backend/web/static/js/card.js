// A device's card on the overview: its worst or first channel large, the others small.

import { part, setText, stamp } from "./dom.js";
import { condition, isStale, isTrouble, nameOf } from "./headline.js";
import { append, shape, trend } from "./sparkline.js";
import { age, fault, moment, quantity, number, unit } from "./words.js";

const ARROWS = { rising: "↗", falling: "↘", steady: "→", "": "" };
const NO_LIMITS = { low: null, high: null };

export class Card {
  element = stamp("card-template");
  device;
  #live;
  #view;
  #points = null;
  #width = 0;

  constructor(device, live, view) {
    this.device = device;
    this.#live = live;
    this.#view = view;
    this.link();
    this.write();
  }

  /** The channel that is shown large: the one that an alert is about, else the first that a rule watches, else the first. */
  get channel() {
    const { channels, alerts } = this.device;
    return channels.find(({ id }) => id === alerts[0]?.channel) ?? channels.find(({ limits }) => limits.length) ?? channels[0];
  }

  get searched() {
    const { name, label, place, channels } = this.device;
    return [name, label, place, ...channels.map(({ sensor }) => sensor)].join(" ").toLowerCase();
  }

  condition() {
    return condition(this.device, this.#live.now, this.#view.scale);
  }

  update(device) {
    const [before, newest] = [this.channel, device.channels.find(({ id }) => id === this.channel?.id)?.newest];
    this.device = device;
    if (this.channel?.id !== before?.id) this.#points = null;
    else if (this.#points && newest && newest.t > before.newest.t) append(this.#points, newest, this.#width);
    this.link();
    this.write();
  }

  /** The day's points have come: [[t, min, mean, max], ...] in buckets of width ms. */
  take(points, width) {
    this.#points = points;
    this.#width = width;
    this.write();
  }

  get needsPoints() {
    return this.channel !== undefined && this.#points === null;
  }

  forget() {
    this.#points = null;
  }

  link() {
    const anchor = part(this.element, "link");
    setText(anchor, nameOf(this.device));
    anchor.setAttribute("href", this.#view.address(`/devices/${encodeURIComponent(this.device.name)}`));
  }

  write() {
    const channel = this.channel;
    part(this.element, "new").hidden = this.device.enrolled;
    part(this.element, "waiting").hidden = channel !== undefined;
    part(this.element, "reading").hidden = channel === undefined;
    if (channel) this.#writeChannel(channel);
    this.tick();
  }

  #writeChannel(channel) {
    const { newest } = channel;
    const shown = unit(channel.unit, this.#view.scale);
    const value = part(this.element, "value");
    value.value = newest.value ?? "";
    setText(value, newest.fault === null ? number(newest.value, shown) : "—");
    setText(part(this.element, "unit"), shown.sign);
    setText(part(this.element, "sensor"), channel.sensor);
    const others = this.device.channels.filter((other) => other !== channel);
    const text = ({ newest, unit: name }) => (newest.fault === null ? quantity(newest.value, unit(name, this.#view.scale)) : fault(newest.fault));
    setText(part(this.element, "others"), others.map(text).join(" · "));
    this.#draw(channel, shown);
  }

  #draw(channel, shown) {
    const least = shown.least / shown.factor;
    const way = this.#points ? trend(this.#points, channel.newest, least) : "";
    setText(part(this.element, "trend"), ARROWS[way]);
    part(this.element, "trend").setAttribute("aria-label", way);
    part(this.element, "trend").hidden = !way;
    const spark = part(this.element, "spark");
    if (!this.#points?.length) return;
    const limits = band(channel);
    const picture = shape(this.#points, limits, this.#live.now, Math.max(channel.stale_after, 3 * this.#width), least);
    part(this.element, "line").setAttribute("d", picture.line);
    part(this.element, "band").setAttribute("d", picture.band);
    place(part(this.element, "over"), 0, picture.high);
    place(part(this.element, "under"), picture.low, picture.height);
    const values = this.#points.flatMap(([, min, , max]) => [min, max]);
    const words = `The last 24 hours: ${number(Math.min(...values), shown)} to ${quantity(Math.max(...values), shown)}`;
    spark.setAttribute("aria-label", words + limitWords(limits, shown));
  }

  /** Every second: what changes without a commit. */
  tick() {
    const now = this.#live.now;
    const how = this.condition();
    this.element.dataset.mood = isTrouble(how) ? "trouble" : "well";
    setText(part(this.element, "trouble"), sentence(how.text));
    part(this.element, "trouble").hidden = !how.text;
    if (!this.channel) return;
    const { newest } = this.channel;
    const time = part(this.element, "age");
    setText(time, age(now - newest.t));
    time.dateTime = new Date(newest.t).toISOString();
    time.title = moment(newest.t, this.#view.zone);
    this.element.classList.toggle("stale", isStale(this.channel, now));
  }
}

/** The band that the rules leave: its inner edges. */
export function band(channel) {
  const of = (kind) => channel.limits.filter((limit) => limit.kind === kind).map(({ limit }) => limit);
  const [lows, highs] = [of("low"), of("high")];
  if (!lows.length && !highs.length) return NO_LIMITS;
  return { low: lows.length ? Math.max(...lows) : null, high: highs.length ? Math.min(...highs) : null };
}

function limitWords({ low, high }, shown) {
  if (low === null && high === null) return "";
  if (low === null) return `; alert above ${quantity(high, shown)}`;
  return high === null ? `; alert below ${quantity(low, shown)}` : `; alert outside ${number(low, shown)} to ${quantity(high, shown)}`;
}

/** "is 3.1° too warm" → "3.1° too warm": the card's title has named the device. */
function sentence(text) {
  const bare = text.replace(/^is |^has been |^has a |^has /, "");
  return bare && bare[0].toUpperCase() + bare.slice(1);
}

function place(rect, top, bottom) {
  const shown = top !== null && bottom !== null && bottom > top;
  rect.setAttribute("y", shown ? top : 0);
  rect.setAttribute("height", shown ? bottom - top : 0);
}
