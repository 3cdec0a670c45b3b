// Says on every live page whether it is live; when the stream is lost, the page asks by itself until it is back.

import { setText } from "./dom.js";

const STATES = { connecting: "Connecting", live: "Live", polling: "Every 10 s", lost: "Not live", database: "Not live" };
const BANNERS = {
  polling: "The live connection does not hold. The page asks every 10 s instead; readings may be that late.",
  lost: "The connection to the server is lost. Trying again; what is shown may be old.",
  database: "The server cannot reach its database. Readings wait at the broker and on the devices; nothing is lost.",
};

export function showConnection(live) {
  const show = () => {
    const byId = (id) => document.getElementById(id);
    byId("connection").dataset.state = live.state;
    setText(byId("connection-text"), STATES[live.state]);
    if (!byId("banner")) return;
    byId("banner").hidden = !(live.state in BANNERS);
    setText(byId("banner"), BANNERS[live.state] ?? "");
  };
  live.addEventListener("state", show);
  show();
}
