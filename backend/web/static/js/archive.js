// The archive: which manifest seals an object, and reading objects back from S3, one after the other.

import { setText } from "./dom.js";

const days = document.getElementById("days");

async function seal() {
  const answer = await fetch(days.dataset.seals);
  if (!answer.ok) throw new Error(`S3 could not be asked (${answer.status}).`);
  const { manifests, trouble } = await answer.json();
  if (trouble) complain(trouble);
  for (const day of days.querySelectorAll(".day")) {
    const rows = [...day.querySelectorAll("tr[data-key]")];
    for (const row of rows) {
      const number = manifests[row.dataset.key];
      if (number) setText(row.querySelector("[data-seal]"), `, sealed in manifest ${number}`);
    }
    const cell = document.querySelector(`.calendar a[data-day="${day.id.slice(4)}"]`);
    const whole = cell && cell.dataset.state !== "waiting" && rows.every((row) => manifests[row.dataset.key]);
    if (whole && rows.length) {
      cell.dataset.state = "sealed";
      const state = day.querySelector(".state");
      setText(state, `${state.textContent}, sealed`);
    }
  }
}

function complain(text) {
  const trouble = document.getElementById("trouble");
  trouble.hidden = false;
  setText(trouble, text);
}

/** What reading the object back has found. */
async function verify(form) {
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRF-Token": form.elements.csrf_token.value },
  });
  if (!answer.ok) throw new Error(`It could not be read back (${answer.status}).`);
  return answer.json();
}

async function verifyRow(form) {
  const told = form.closest("td").querySelector("[data-outcome]");
  const button = form.querySelector("button");
  setText(told, "Reading it back from S3…");
  told.dataset.sound = "";
  button.disabled = true;
  try {
    const found = await verify(form);
    told.dataset.sound = found.sound ? "yes" : "no";
    const text = found.sound
      ? `As it was written: the SHA-256 and ${found.rows.toLocaleString("en")} readings are equal.`
      : found.findings.slice(0, 3).join(" · ");
    setText(told, text);
    return found.sound;
  } catch (error) {
    told.dataset.sound = "no";
    setText(told, error.message);
    return false;
  } finally {
    button.disabled = false;
  }
}

async function verifyDay(day, button) {
  const forms = [...day.querySelectorAll("form")];
  const bar = day.querySelector("progress");
  const told = day.querySelector("[data-day-outcome]");
  bar.max = forms.length;
  bar.value = 0;
  bar.hidden = false;
  button.disabled = true;
  let sound = 0;
  for (const form of forms) {
    sound += await verifyRow(form);
    bar.value += 1;
    setText(told, `${bar.value} of ${forms.length} read back`);
  }
  told.dataset.sound = sound === forms.length ? "yes" : "no";
  setText(told, sound === forms.length ? `All ${sound} objects are as they were written.` : `${forms.length - sound} of ${forms.length} are not as they were written.`);
  bar.hidden = true;
  button.disabled = false;
}

/** A day that the address names is opened. */
function openNamed() {
  const day = location.hash.startsWith("#day-") && document.getElementById(location.hash.slice(1));
  if (day) day.open = true;
}

days.addEventListener("submit", (event) => {
  event.preventDefault();
  verifyRow(event.target);
});
for (const part of days.querySelectorAll(".verify-day")) {
  part.hidden = false;
  const button = part.querySelector("button");
  button.addEventListener("click", () => verifyDay(part.closest(".day"), button));
}
addEventListener("hashchange", openNamed);
openNamed();
seal().catch((error) => complain(error.message));
