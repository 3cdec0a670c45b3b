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
