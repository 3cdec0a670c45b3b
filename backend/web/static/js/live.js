// The event stream: resumes where it was, and says when it is not live.

// The server speaks at least every 15 s; twice that in silence means a connection that died without telling.
const SILENCE = 35_000;
const RETRY = 2_000;
// A proxy may let no stream through at all: after so long without one the page asks instead, and says so.
const PATIENCE = 20_000;
const ASK_EVERY = 10_000;

export class Live extends EventTarget {
  #commit;
  #source = null;
  #heard = 0;
  #retry = null;
  #state = "connecting";
  #without = Date.now();
  /** Server's clock minus ours, in ms: ages must be right on a phone whose clock is wrong. */
  offset;

  constructor(commit, now) {
    super();
    this.#commit = commit;
    this.offset = now - Date.now();
    setInterval(() => this.#watch(), 5_000);
    setInterval(() => this.#ask(), ASK_EVERY);
    document.addEventListener("visibilitychange", () => document.hidden || this.#watch());
    addEventListener("online", () => this.open());
    // A page that waits in the back-forward cache must not hold a stream, and must catch up when shown again.
    addEventListener("pagehide", () => this.#source?.close());
    addEventListener("pageshow", (event) => event.persisted && this.open());
  }

  get now() {
    return Date.now() + this.offset;
  }

  get state() {
    return this.#state;
  }

  open() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#heard = Date.now();
    const source = new EventSource(`/api/v1/events?since=${this.#commit}`);
    this.#source = source;
    const hear = (name, act) =>
      source.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        this.#heard = Date.now();
        this.offset = data.now - this.#heard;
        act(data);
      });
    hear("heartbeat", () => this.#state === "database" || this.#become("live"));
    hear("database", (data) => this.#become(data.available ? "live" : "database"));
    hear("change", (data) => this.#take(data));
    source.onerror = () => {
      if (this.#state !== "polling") this.#become("lost");
      // The browser reconnects by itself, unless the answer was an error: then it gives up.
      if (source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => this.open(), RETRY);
    };
  }

  #take(data) {
    this.#commit = data.commit;
    this.dispatchEvent(new CustomEvent("change", { detail: data }));
  }

  /** Without a stream: the same state by a plain request. */
  async #ask() {
    if (["live", "database"].includes(this.#state)) this.#without = Date.now();
    if (document.hidden || Date.now() - this.#without < PATIENCE) return;
    try {
      const answer = await fetch("/api/v1/devices");
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const data = await answer.json();
      // The stream may have come back meanwhile: then it knows better.
      if (this.#state === "live") return;
      this.#become("polling");
      this.#take(data);
    } catch {
      if (this.#state !== "live") this.#become("lost");
    }
  }

  #watch() {
    if (Date.now() - this.#heard > SILENCE) {
      if (this.#state !== "polling") this.#become("lost");
      this.open();
    }
  }

  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
