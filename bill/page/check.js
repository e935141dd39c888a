// What can be computed again from a bill alone (spec/bill.md section 6, steps 5
// to 7): formats, the order of lines, each amount, taxes, total, energies.

import { refuse } from "./refusal.js";
import { fromBase64url } from "./bytes.js";
import { Decimal, one } from "./decimal.js";
import { Month, isZone, localDay, months, parseTime } from "./calendar.js";
import { currencies } from "./currencies.js";

const kinds = ["import", "export", "standing", "grid", "levy", "demand", "minimum", "credit", "tax"];
const notes = ["", "longer-interval", "longer-interval+ratchet", "ratchet"];
const withholding = ["quantities", "price", "reveal"];

const maxLines = 256;
const shareDecimals = 8;

const isName = (s) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(s);
const isDigest = (s) => fromBase64url(s)?.length === 32;
// Letters, marks, numbers, punctuation, symbols and the space: what prints.
const isText = (s) => /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u.test(s) && s.trim() === s && [...s].length <= 128;

// checkBill refuses a bill that does not hold.
export function checkBill(bill) {
  const c = { bill, numbers: [], ...names(bill) };
  Object.assign(c, period(bill));
  counts(bill, c.to - c.from);
  checkLines(c);
  sums(c);
  energies(c);
}

const field = (member, values) => refuse("field", "field", { member, ...values });

function names(bill) {
  if (!isText(bill.issuer)) field("issuer");
  for (const member of ["subject", "tariff_digest", "readings_root"]) {
    if (!isDigest(bill[member])) field(member);
  }
  for (const member of ["carries", "corrects"]) {
    if (bill[member] !== "" && !isDigest(bill[member])) field(member);
  }
  if (bill.carries !== "" && bill.carries === bill.corrects) field("carries");
  if (!isName(bill.tariff)) field("tariff");
  const decimals = currencies.get(bill.currency);
  if (decimals === undefined) field("currency");
  return { decimals };
}

function period(bill) {
  const zone = bill.timezone;
  if (!isZone(zone)) field("timezone");
  const from = parseTime(bill.from, zone);
  if (from === null) field("from");
  const to = parseTime(bill.to, zone);
  if (to === null || to <= from) field("to");
  return { from, to, first: localDay(from, zone), last: localDay(to - 1, zone) };
}

function counts(bill, seconds) {
  const most = BigInt(seconds);
  if (bill.intervals < 0n || bill.intervals > most || (bill.intervals === 0n && bill.unbilled_seconds === 0n)) field("intervals");
  if (bill.estimated < 0n || bill.estimated > bill.intervals) field("estimated");
  if (bill.unbilled_seconds < 0n || bill.unbilled_seconds > most - bill.intervals) field("unbilled_seconds");
}

function checkLines(c) {
  const lines = c.bill.lines;
  if (lines.length === 0 || lines.length > maxLines) refuse("lines", "linesCount", { count: lines.length, most: maxLines });
  c.total = Decimal.zero(c.decimals);
  lines.forEach((line, i) => {
    checkLine(c, line, i + 1);
    if (i > 0 && (compare(lines[i - 1], line) >= 0 || !stands(lines[i - 1], line))) refuse("lines", "linesOrder", { line: i + 1 });
    c.total = c.total.add(c.numbers[i].amount);
  });
  if (lines[0].kind !== "import") refuse("lines", "linesImport");
}

// compare gives the order of lines; names are ASCII.
function compare(a, b) {
  const keys = (l) => [kinds.indexOf(l.kind), l.band, l.name, l.month, l.tier];
  const [left, right] = [keys(a), keys(b)];
  for (let i = 0; i < left.length; i++) {
    if (left[i] < right[i]) return -1;
    if (left[i] > right[i]) return 1;
  }
  return 0;
}

// stands tells whether a line may stand before another of its kind.
function stands(a, b) {
  if (a.kind !== b.kind) return true;
  const alike = a.band === b.band && a.name === b.name && a.month === b.month;
  return (!alike || a.tier > 0n) && (a.kind !== "tax" || a.name !== "");
}

function checkLine(c, line, number) {
  const bad = (member) => field(member, { line: number });
  if (!kinds.includes(line.kind)) bad("kind");
  label(line, bad);
  demandMembers(c, line, bad);
  taxMembers(line, bad);
  if (!units(c, line).includes(line.unit)) bad("unit");
  const n = parseNumbers(c, line, bad);
  c.numbers.push(n);
  ranges(c, line, n, number);
  amount(c, line, n, number);
}

// label checks what tells a line from others of its kind.
function label(line, bad) {
  const energy = line.kind === "import" || line.kind === "export";
  if (energy ? !isName(line.band) : line.band !== "") bad("band");
  const named = ["grid", "levy", "demand", "credit"].includes(line.kind);
  if (named && line.name === "") bad("name");
  if (line.name !== "" && (!(named || line.kind === "tax") || !isName(line.name))) bad("name");
  const tiered = (line.kind === "import" && line.series === "") || line.kind === "demand";
  if (line.tier < 0n || line.tier > 10n || (line.tier > 0n && !tiered)) bad("tier");
  if (line.series !== "" && (!energy || !isDigest(line.series))) bad("series");
}

function demandMembers(c, line, bad) {
  if (line.kind !== "demand") {
    for (const member of ["month", "note", "share"]) if (line[member] !== "") bad(member);
    if (line.minutes !== 0n) bad("minutes");
    return;
  }
  const month = Month.parse(line.month);
  if (month === null || month.last < c.first || month.first > c.last) bad("month");
  if (line.minutes < 1n || line.minutes > 60n) bad("minutes");
  if (!notes.includes(line.note)) bad("note");
}

// taxMembers checks the kinds that a tax is on: known, in order, each once.
function taxMembers(line, bad) {
  if (line.on === "") return;
  let before = -1;
  for (const kind of line.on.split(",")) {
    const place = kinds.indexOf(kind);
    if (line.kind !== "tax" || line.name === "" || kind === "tax" || place <= before) bad("on");
    before = place;
  }
}

function units(c, line) {
  switch (line.kind) {
    case "import":
    case "export":
      return ["kWh"];
    case "standing":
    case "minimum":
      return ["day", "month"];
    case "demand":
      return ["kW"];
    case "tax":
      return [c.bill.currency];
    default:
      return ["kWh", "day", "month"];
  }
}

function parseNumbers(c, line, bad) {
  const n = { quantity: parseQuantity(c, line, bad), price: Decimal.zero(0), share: one };
  if (line.series !== "") {
    if (line.price !== "") bad("price");
  } else {
    n.price = Decimal.parse(line.price);
    if (n.price === null || n.price.sign < 0) bad("price");
  }
  if (line.share !== "") {
    n.share = Decimal.parse(line.share);
    if (n.share === null || n.share.decimals !== shareDecimals || n.share.sign <= 0 || n.share.cmp(one) >= 0) bad("share");
  }
  n.amount = Decimal.parse(line.amount);
  if (n.amount === null || n.amount.decimals !== c.decimals) bad("amount");
  return n;
}

// parseQuantity reads a quantity; one that is withheld is 0.
function parseQuantity(c, line, bad) {
  const decimals = quantityDecimals(c, line);
  if (line.withheld !== "") {
    if (line.series === "" || line.quantity !== "" || !withholding.includes(line.withheld)) bad("withheld");
    return Decimal.zero(decimals);
  }
  const quantity = Decimal.parse(line.quantity);
  if (quantity === null || quantity.decimals !== decimals) bad("quantity");
  if (line.unit === "month" && decimals > 0 && quantity.whole) bad("quantity");
  return quantity;
}

function quantityDecimals(c, line) {
  switch (line.unit) {
    case "kWh":
    case "kW":
      return 3;
    case "day":
      return 0;
    case "month":
      return line.quantity.includes(".") ? shareDecimals : 0;
    default:
      return c.decimals;
  }
}

// ranges checks that a quantity is possible.
function ranges(c, line, n, number) {
  const bad = (member) => field(member, { line: number });
  if (line.kind === "export" && n.quantity.sign <= 0 && line.withheld === "") bad("quantity");
  if (line.kind !== "tax" && n.quantity.sign < 0) bad("quantity");
  if (line.kind === "tax" && n.price.cmp(one) > 0) bad("price");
  const above = (value, most) => refuse("standing", "standing", { line: number, value: value.toString(), most: most.toString() });
  if (line.unit === "day" || line.unit === "month") {
    const most = line.unit === "day" ? new Decimal(BigInt(c.last - c.first + 1), 0) : months(c.first, c.last);
    if (n.quantity.sign === 0 || n.quantity.cmp(most) > 0) above(n.quantity, most);
  } else if (line.unit === "kW") {
    const month = Month.parse(line.month);
    const most = months(Math.max(c.first, month.first), Math.min(c.last, month.last));
    if (n.share.cmp(most) > 0) above(n.share, most);
  }
}

// amount checks a line's arithmetic. What an energy costs by a series takes the
// readings: only that no energy costs nothing is known.
function amount(c, line, n, number) {
  let want = n.quantity.mul(n.price).mul(n.share).round(c.decimals);
  if (line.kind === "export" || line.kind === "credit") want = want.neg();
  if (line.kind === "minimum") {
    want = want.add(c.total.neg());
    if (want.sign <= 0) refuse("amount", "minimum", { line: number, due: c.total.toString() });
  }
  if (line.series !== "" && (n.quantity.sign > 0 || line.withheld !== "")) return;
  if (n.amount.cmp(want) !== 0) refuse("amount", "amount", { line: number, says: line.amount, want: want.toString() });
}

function sums(c) {
  c.bill.lines.forEach((line, i) => {
    if (line.kind !== "tax") return;
    const on = line.on.split(",");
    let base = Decimal.zero(c.decimals);
    c.bill.lines.forEach((other, k) => {
      if (other.kind !== "tax" && (line.on === "" || on.includes(other.kind))) base = base.add(c.numbers[k].amount);
    });
    if (c.numbers[i].quantity.cmp(base) !== 0) refuse("tax", "tax", { line: i + 1, says: line.quantity, want: base.toString() });
  });
  if (c.bill.total !== c.total.toString()) refuse("total", "total", { says: c.bill.total, want: c.total.toString() });
}

// energies checks their sums; what one line withholds, its sum would tell.
function energies(c) {
  for (const [member, kind] of [["import_kwh", "import"], ["export_kwh", "export"]]) {
    let sum = Decimal.zero(3);
    let withheld = false;
    c.bill.lines.forEach((line, i) => {
      if (line.kind !== kind) return;
      sum = sum.add(c.numbers[i].quantity);
      withheld ||= line.withheld !== "";
    });
    if (withheld ? c.bill[member] !== "" : c.bill[member] !== sum.toString()) {
      refuse("energy", "energy", { member, says: c.bill[member], want: withheld ? "" : sum.toString() });
    }
  }
}
