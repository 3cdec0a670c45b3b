// Where one reading has been: sampled, sent, received, committed, archived.

import { element } from "./dom.js";
import { Refused, read } from "./requests.js";
import { cause, count, moment } from "./words.js";

const byId = (id) => document.getElementById(id);

/** Steps of an answer of the API as [title, text]. */
function steps({ stream, seq, sampled, received, committed, archived, lost }, zone) {
  const when = (step, otherwise) => (step?.t ? moment(step.t, zone) : otherwise);
  const number = `number ${count(seq)} of stream ${stream}`;
  if (lost) return [["Lost", `${number}: ${cause(lost.cause)}`]];
  return [
    ["Sampled", `${when(sampled, "waits on the device")}, ${number}`],
    ["Received", when(received, "not yet")],
    ["Committed", committed ? when(committed, "yes") : "not yet"],
    ["Archived", archived ? when(archived, "frozen, on its way to S3") : "not yet: it waits for its batch"],
    ...(archived ? [["Object", archived.key], ["SHA-256", archived.sha256]] : []),
  ];
}

export async function showTrace(device, { stream, seq }, zone) {
  byId("trace-steps").replaceChildren(element("li", "Looking …"));
  byId("trace").showModal();
  try {
    const path = `/api/v1/devices/${encodeURIComponent(device)}/streams/${stream}/readings/${seq}/trace`;
    const { body } = await read(path);
    byId("trace-steps").replaceChildren(
      ...steps(body, zone).map(([title, text]) => {
        const item = element("li", "");
        item.append(element("strong", title), element("span", text));
        return item;
      }),
    );
  } catch (error) {
    const text = error instanceof Refused ? error.message : "The server does not answer.";
    byId("trace-steps").replaceChildren(element("li", text));
  }
}

/** {stream, seq} of the reading at or after t, or null. */
export async function readingAt(channel, t) {
  const { body } = await read(`/api/v1/channels/${channel}/readings?format=json&since=${t}&until=${t + 86_400_000}&limit=1`);
  return body.readings[0] ?? null;
}

export function bindTrace() {
  byId("trace-close").addEventListener("click", () => byId("trace").close());
}

