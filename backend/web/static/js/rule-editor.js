// The rule editor: shows the blanks that the sentence has, and tries the rule on the last days as it is written.

import { setText } from "./dom.js";

const form = document.getElementById("rule-editor");
const told = document.getElementById("preview");
const PATIENCE = 400;
const BLANKS = {
  high: ["limit", "duration", "window", "clear", "hold"],
  low: ["limit", "duration", "window", "clear", "hold"],
  rise: ["limit", "duration", "window", "clear", "hold"],
  fall: ["limit", "duration", "window", "clear", "hold"],
  silent: ["silence"],
};
let timer = null;
let asked = 0;

function showBlanks() {
  const wanted = BLANKS[form.elements.kind.value];
  for (const blank of form.querySelectorAll(".sentence [data-for]")) blank.hidden = !wanted.includes(blank.dataset.for);
  // What is hidden must not count: a rule on silence has no duration beyond its own.
  if (form.elements.kind.value === "silent") form.elements.duration.value = "";
}

async function preview() {
  const number = ++asked;
  const said = new URLSearchParams(new FormData(form));
  said.delete("csrf_token");
  if (!form.elements.subject.value) return;
  try {
    const answer = await fetch(`${form.dataset.preview}?${said}`);
    const found = await answer.json();
    if (number !== asked) return;
    const sentence = found.sentence ? found.sentence[0].toUpperCase() + found.sentence.slice(1) : "";
    setText(told, found.error ?? `${sentence}. ${found.preview}`);
  } catch {
    if (number === asked) setText(told, "The preview did not come. The rule can be kept all the same.");
  }
}

form.addEventListener("input", () => {
  showBlanks();
  clearTimeout(timer);
  timer = setTimeout(preview, PATIENCE);
});
showBlanks();
preview();
