// The data of the page, and numbers as people read them. Nothing is fetched.
const data = JSON.parse(document.getElementById("boxgate-data").textContent);
const root = document.documentElement;
const byId = (id) => document.getElementById(id);

// Times are kept as steps: the first since 1970, each other since the one before it.
function timed(curve) {
  let units = 0;
  curve.time_ms = curve.time.steps.map((step) => (units += step) * curve.time.unit_ms);
}

const formats = new Map();
function number(value, decimals = 2, signed = false) {
  if (value === null || value === undefined) return "–";
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat("en-US", digits));
  }
  const text = formats.get(decimals).format(Math.abs(value));
  if (!/[1-9]/.test(text)) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}
const money = (value, signed = false) => number(value, data.currency_decimals, signed);
const moment = (ms, length = 19) => new Date(ms).toISOString().slice(0, length).replace("T", " ");
const clean = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const counted = (value, noun) => `${number(value, 0)} ${noun}${value === 1 ? "" : "s"}`;
