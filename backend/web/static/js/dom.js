// Templates filled by text only: whatever a device calls itself stays text.

export function stamp(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

export function part(root, field) {
  return root.querySelector(`[data-field="${field}"]`);
}

/** Untouched when equal, so that screen readers and selections are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Copy an element's text, and say so in `told`. */
export async function copyFrom(element, told) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    setText(told, "Copied.");
  } catch {
    // Browsers give the clipboard to https and localhost only: selected, it is one key away.
    getSelection().selectAllChildren(element);
    setText(told, "Selected: copy it with your keyboard or menu.");
  }
}

export function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
