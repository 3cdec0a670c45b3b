// Requests of a page that change something: with the CSRF token, and only over what was read.

const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** What the server says is wrong, in words for the page. */
export class Refused extends Error {}

export async function read(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.redirected || answer.status === 401) location.reload();
  if (!answer.ok) throw await refusal(answer);
  // Compressed on its way the tag is a weak one, and If-Match takes none: what was said is the same.
  return { body: await answer.json(), tag: answer.headers.get("ETag")?.replace(/^W\//, "") };
}

/** Change what was read at this path before; tag: its ETag, so that nobody else's change is overwritten. */
export const patch = (path, tag, change) => send("PATCH", path, tag, change);
export const put = (path, tag, whole) => send("PUT", path, tag, whole);

async function send(method, path, tag, change) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": token(), ...(tag && { "If-Match": tag }) };
  const answer = await fetch(path, { method, headers, body: JSON.stringify(change) });
  if (!answer.ok) throw await refusal(answer);
}

async function refusal(answer) {
  try {
    const { detail, advice = "" } = await answer.json();
    return new Refused(`${detail} ${advice}`.trim());
  } catch {
    return new Refused(`The server answered ${answer.status}.`);
  }
}
