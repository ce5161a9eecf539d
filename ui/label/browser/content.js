// Puts what only changes with the photo where the canvas finds it. As a component of its own it is sent once: the messages
// of the canvas, which answer every save, stay small.
const kept = (window[Symbol.for("atrous canvas")] ??= { contents: new Map(), regions: new Map(), desks: new Map() });

export default function ({ data, setTriggerValue }) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  // Copies: numbers of several bytes must begin at a multiple of their size.
  const parts = [];
  for (let at = 4 + size, part = 0; part < header.parts.length; at += header.parts[part++]) {
    parts.push(bytes.slice(at, at + header.parts[part]));
  }
  if (header.kind === "photo") {
    kept.runPage = () => setTriggerValue("run", `${Math.random()}`);
    const [photo, runs] = parts;
    kept.contents.clear();
    kept.contents.set(header.id, { header, photo, runs: new Uint32Array(runs.buffer) });
  } else {
    const [runs, ...levels] = parts, labels = new Uint16Array(header.width * header.height);
    let at = 0;
    for (const run of new Uint32Array(runs.buffer)) labels.fill(run & 0xffff, at, at += run >>> 16);
    kept.regions.clear();
    kept.regions.set(header.file, { ...header, labels, levels: levels.map((level) => new Uint16Array(level.buffer)) });
  }
  window.dispatchEvent(new Event("atrous canvas content"));
}
