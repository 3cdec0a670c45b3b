// One channel on a card: its value, its age, its last hour.

import { Chart } from "./chart.js";
import { part, setText, stamp } from "./dom.js";
import { isStale } from "./headline.js";
import { BUCKETS, HOUR, fromBucket, fromNewest, range, rows, summary } from "./series.js";
import { age, clock, fault, moment, number, quantity, readings, unit } from "./words.js";

const RETRY = 3_000;

export class ChannelView {
  element = stamp("channel-template");
  #channel;
  #live;
  #points = null;
  #loading = false;
  #again = false;
  #visible = false;
  #chart;
  #cursor = null;

  constructor(channel, live) {
    this.#channel = channel;
    this.#live = live;
    const { sign, quantity: name } = unit(channel.unit);
    setText(part(this.element, "unit"), sign);
    setText(part(this.element, "quantity"), name);
    setText(part(this.element, "sensor"), channel.sensor);
    const frame = part(this.element, "chart");
    frame.setAttribute("aria-label", `${name} of the last hour. Left and right arrow keys read it point by point.`);
    this.#chart = new Chart(frame, channel.unit, (text) => {
      this.#cursor = text;
      this.#tell();
    });
    part(this.element, "table").addEventListener("toggle", () => this.#fillTable());
    new IntersectionObserver(([entry]) => this.#show(entry.isIntersecting), { rootMargin: "200px" }).observe(frame);
    this.#write();
  }

  /** Whether the newest reading is another one. */
  differs(channel) {
    const [old, now] = [this.#channel.newest, channel.newest];
    return old.stream !== now.stream || old.seq !== now.seq;
  }

  /** complete: nothing else came in between, so that the reading may be appended to what is drawn. */
  update(channel, complete) {
    const differs = this.differs(channel);
    this.#channel = channel;
    this.#write();
    if (this.#points === null) return;
    const last = this.#points.at(-1)?.last ?? 0;
    if (!complete || this.#loading || (differs && channel.newest.t <= last)) this.#load();
    else if (differs) {
      this.#points.push(fromNewest(channel.newest));
      this.draw();
    }
  }

  /** Every second. */
  tick() {
    const { newest } = this.#channel;
    setText(part(this.element, "age"), age(this.#live.now - newest.t));
    this.element.classList.toggle("stale", isStale(this.#channel, this.#live.now));
  }

  draw() {
    if (!this.#visible || this.#points === null) return;
    const start = this.#live.now - HOUR;
    this.#points = this.#points.filter((point) => point.last >= start);
    this.#chart.draw(this.#points, this.#channel.stale_after, this.#live.now);
    this.#tell();
    this.#fillTable();
  }

  #write() {
    const { newest, unit: name } = this.#channel;
    const value = part(this.element, "value");
    const failed = newest.fault !== null;
    value.value = newest.value ?? "";
    setText(value, failed ? "—" : number(newest.value, name));
    setText(part(this.element, "fault"), failed ? fault(newest.fault) : "");
    part(this.element, "fault").hidden = !failed;
    value.parentElement.hidden = failed;
    part(this.element, "estimated").hidden = newest.tq !== "estimated";
    const time = part(this.element, "age");
    time.dateTime = new Date(newest.t).toISOString();
    time.title = moment(newest.t);
    this.tick();
  }

  #show(visible) {
    this.#visible = visible;
    if (visible && this.#points === null) this.#load();
    else this.draw();
  }

  async #load() {
    if (this.#loading) {
      this.#again = true;
      return;
    }
    this.#loading = true;
    try {
      do {
        this.#again = false;
        const { since, until } = range(this.#live.now);
        const answer = await fetch(
          `/api/v1/channels/${this.#channel.id}/series?since=${since}&until=${until}&buckets=${BUCKETS}`,
        );
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        this.#points = (await answer.json()).buckets.map(fromBucket);
      } while (this.#again);
    } catch {
      // The connection's state is told elsewhere; the picture comes when the server does.
      setTimeout(() => this.#load(), RETRY);
    } finally {
      this.#loading = false;
    }
    this.draw();
  }

  #tell() {
    const { min, max, values, faults } = summary(this.#points ?? []);
    const name = this.#channel.unit;
    const faulty = faults ? `, ${readings(faults)} with a fault` : "";
    const whole = values ? `Last hour: ${number(min, name)} to ${quantity(max, name)}${faulty}` : `Nothing in the last hour${faulty}`;
    setText(part(this.element, "readout"), this.#cursor ?? whole);
    part(this.element, "readout").setAttribute("aria-live", this.#cursor ? "polite" : "off");
  }

  #fillTable() {
    const table = part(this.element, "table");
    if (!table.open || !this.#points) return;
    const cells = (start, sum) => {
      const value = (found) => (found === null ? "—" : number(found, this.#channel.unit));
      const counted = sum.faults ? `${sum.values} + ${sum.faults} faults` : String(sum.values);
      return [clock(start), value(sum.min), value(sum.mean), value(sum.max), counted];
    };
    table.querySelector("tbody").replaceChildren(
      ...rows(this.#points).map(([start, sum]) => {
        const row = document.createElement("tr");
        cells(start, sum).forEach((text) => row.insertCell().append(text));
        return row;
      }),
    );
  }
}
