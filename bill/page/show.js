// The outcome of a check, and the bill, as elements of the page. All text goes in
// as text: nothing of a bill is ever taken for HTML.

import { say } from "./texts.js";
import { Month } from "./calendar.js";

function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  e.append(...children);
  return e;
}

// number writes exact digits as the language does, in groups of three.
export function number(text, language) {
  const [whole, fraction] = text.replace("-", "\u2212").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return fraction === undefined ? grouped : grouped + (language === "de" ? "," : ".") + fraction;
}

const marks = { ok: "\u2713", failed: "\u2717", skipped: "\u2013" };
const states = { ok: "stateOK", failed: "stateFailed", skipped: "stateSkipped" };

// showChecks lists what was found.
export function showChecks(list, rows, language) {
  list.replaceChildren(...rows.map((row) => {
    const values = { ...row.values };
    if (values.time) values.date = new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(values.time * 1000);
    return element("li", { class: row.state, "data-what": row.what },
      element("span", { class: "mark", "aria-hidden": "true" }, marks[row.state]),
      element("span", {},
        element("b", {}, title(row.what, language)),
        element("span", { class: "spoken" }, ` (${say(language, states[row.state])})`),
        ": " + say(language, row.key, values)));
  }));
}

// title names a check, or what of a bill does not hold.
function title(what, language) {
  const titles = { "key-set": "keySet", checkpoint: "log", inclusion: "log", amount: "sums", standing: "sums", tax: "sums", total: "sums",
    energy: "sums", "unknown-key": "signature", jws: "other", document: "other", field: "format", lines: "format" };
  const known = ["signature", "format", "sums", "subject", "log", "cosignature", "consistency", "readings"];
  const name = titles[what] ?? (known.includes(what) ? what : "format");
  return say(language, "what_" + name);
}

// showBill writes a bill that was verified.
export function showBill(paper, bill, language) {
  paper.replaceChildren(
    element("h3", {}, say(language, "billOf", { issuer: bill.issuer })),
    element("p", { class: "period" }, periodText(bill, language)),
    table(bill, language),
    facts(bill, language));
}

// periodText is the period in words: whole days where it has them.
function periodText(bill, language) {
  const whole = [bill.from, bill.to].every((t) => t.includes("T00:00:00"));
  const options = whole ? { dateStyle: "long" } : { dateStyle: "long", timeStyle: "short" };
  const write = new Intl.DateTimeFormat(language, { ...options, timeZone: bill.timezone });
  const end = Date.parse(bill.to) - (whole ? 1000 : 0);
  return write.formatRange(Date.parse(bill.from), end) + " · " + bill.timezone;
}

function table(bill, language) {
  const row = (line) => {
    const label = say(language, "kind_" + line.kind) + (line.band + line.name ? ` · ${line.band}${line.name}` : "");
    return element("tr", {},
      element("th", { scope: "row" }, label, element("small", {}, detail(bill, line, language))),
      element("td", { class: "money" }, number(line.amount, language)));
  };
  return element("table", { class: "amounts" },
    element("thead", {}, element("tr", {},
      element("th", { scope: "col" }, say(language, "item")), element("th", { scope: "col", class: "money" }, bill.currency))),
    element("tbody", {}, ...bill.lines.map(row)),
    element("tfoot", {}, element("tr", {},
      element("th", { scope: "row" }, say(language, "totalLine")), element("td", { class: "money" }, number(bill.total, language)))));
}

// detail is quantity and price of a line, and what else it says.
function detail(bill, line, language) {
  const parts = [];
  if (line.withheld !== "") parts.push(say(language, "withheldText", { rule: line.withheld }));
  else {
    const unit = line.kind === "tax" ? bill.currency : say(language, "unit_" + line.unit + (line.quantity === "1" ? "_one" : ""));
    const price = line.series === "" ? " × " + priceText(bill, line, language) : ", " + say(language, "bySeries");
    parts.push(number(line.quantity, language) + "\u00a0" + unit + price);
  }
  if (line.tier > 0n) parts.push(say(language, "tier", { tier: line.tier }));
  if (line.month !== "") {
    const first = Month.parse(line.month).first * 86400000;
    parts.push(new Intl.DateTimeFormat(language, { year: "numeric", month: "long", timeZone: "UTC" }).format(first));
    parts.push(say(language, "means", { minutes: line.minutes }));
  }
  if (line.share !== "") parts.push(say(language, "ofMonth", { share: number(line.share, language) }));
  if (line.note.includes("longer")) parts.push(say(language, "note_longer"));
  if (line.note.includes("ratchet")) parts.push(say(language, "note_ratchet"));
  if (line.on !== "") parts.push(say(language, "on", { kinds: line.on.split(",").map((k) => say(language, "kind_" + k)).join(", ") }));
  return parts.join(" · ");
}

function priceText(bill, line, language) {
  return number(line.price, language) + (line.kind === "tax" ? "" : "\u00a0" + bill.currency);
}

// facts are what a bill says beside its lines.
function facts(bill, language) {
  const energy = (kWh) => (kWh === "" ? say(language, "withheld") : number(kWh, language) + "\u00a0kWh");
  const rows = [
    ["imported", energy(bill.import_kwh)],
    ["exported", energy(bill.export_kwh)],
    ["intervals", say(language, bill.estimated === 0n ? "measuredText" : "intervalsText", {
      intervals: number(bill.intervals.toString(), language), estimated: number(bill.estimated.toString(), language) })],
    ["tariff", bill.tariff],
  ];
  if (bill.unbilled_seconds > 0n) {
    rows.push(["unbilled", say(language, "unbilledText", { seconds: number(bill.unbilled_seconds.toString(), language) })]);
  }
  if (bill.corrects !== "") rows.push(["corrects", bill.corrects]);
  if (bill.carries !== "") rows.push(["carries", bill.carries]);
  return element("dl", {}, ...rows.flatMap(([key, text]) => [element("dt", {}, say(language, key)), element("dd", {}, text)]));
}
