// What the server tells the map, and arrays it needs once. This draws nothing: map.js, another component of the page, picks it up.
// It is a component of its own because Streamlit sends a component's data again, whole, whenever any of it changes.
function component({ data }) {
  const inbox = (window.subembMapInbox ??= { arrays: new Map(), told: null, listeners: new Set() });
  if (data instanceof Uint8Array) {
    const name = nameOf(data);
    if (inbox.arrays.has(name)) return;
    inbox.arrays.set(name, data);
    while (inbox.arrays.size > 40) inbox.arrays.delete(inbox.arrays.keys().next().value);  // of runs seen long ago
  } else {
    inbox.told = data;
  }
  inbox.listeners.forEach((listener) => listener());
}

// The name in the header of packed arrays, see packing.py.
function nameOf(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  return JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))).name;
}
