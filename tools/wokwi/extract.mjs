// Renews the parts of parts.json that come from @wokwi/elements (MIT, Uri Shaked):
//   npm install @wokwi/elements@1.9.2 && node extract.mjs > elements.json
// Prints {type: {"pins": [...], "attrs": [...]}}: what each element says of itself in pinInfo and as its properties.
globalThis.ImageData = class {}; // a browser's; the displays make one
const elements = await import('@wokwi/elements');

const found = {};
for (const Element of Object.values(elements)) {
  if (typeof Element !== 'function' || !Element.elementProperties) continue;
  const element = new Element();
  if (!element.pinInfo) continue;
  found[element.localName.toLowerCase()] = {
    pins: element.pinInfo.map((pin) => pin.name),
    attrs: [...Element.elementProperties.keys()],
  };
}
console.log(JSON.stringify(found));
