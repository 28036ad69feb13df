// What both pages use.

/** `0:05.3`, from an hour on `1:02:05`. */
function clock(seconds, decimals = 0) {
  const scale = 10 ** decimals;
  const ticks = Math.round(Math.max(seconds, 0) * scale);
  const whole = Math.floor(ticks / scale);
  const part = decimals ? `.${String(ticks % scale).padStart(decimals, "0")}` : "";
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}${part}` : `${minutes}:${two(whole % 60)}${part}`;
}

/** A function that gives the time of day, `14:13:26`, of a moment; empty where nobody knows when the recording began. */
function timeOfDay(recorded) {
  if (!recorded) return () => "";
  try {
    const format = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: recorded.timezone });
    return (seconds) => format.format(recorded.milliseconds + 1000 * seconds);
  } catch {
    return () => ""; // a zone that this browser does not know
  }
}

/** Makes an element with properties, and what is in it; texts are never read as HTML. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "for") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** Numbers from base64 of their bytes in little-endian order. */
function numbers(text, bytes) {
  const raw = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const view = new DataView(raw.buffer);
  const values = bytes === 8 ? new Float64Array(raw.length / 8) : new Float32Array(raw.length / 4);
  for (let i = 0; i < values.length; i++) values[i] = bytes === 8 ? view.getFloat64(8 * i, true) : view.getFloat32(4 * i, true);
  return values;
}
