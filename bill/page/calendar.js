// Times of a bill: texts with the offset that a time zone has then, local days
// counted from 1970-01-01, and parts of months.

import { Decimal, roundRatio } from "./decimal.js";

const daySeconds = 86400;

const formats = new Map();

// format writes times in a zone; null if the browser does not know the zone.
function format(zone) {
  if (!formats.has(zone)) {
    let made = null;
    try {
      made = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", {
        timeZone: zone, hourCycle: "h23", era: "short",
        year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
      });
    } catch {
      // not known
    }
    formats.set(zone, made);
  }
  return formats.get(zone);
}

// isZone tells whether a text is an IANA name that the browser knows. Browsers
// do not mind its case.
export function isZone(zone) {
  return zone.length <= 64 && /^[A-Z][A-Za-z0-9_+/-]*$/.test(zone) && !zone.includes("//") && !zone.endsWith("/") &&
    zone !== "Local" && zone !== "Factory" && format(zone) !== null;
}

// clock is what a zone's clock shows at a time in Unix seconds, as if it were
// UTC.
function clock(seconds, zone) {
  const p = Object.fromEntries(format(zone).formatToParts(seconds * 1000).map((part) => [part.type, part.value]));
  return Date.UTC(Number(p.year), Number(p.month) - 1, Number(p.day), Number(p.hour), Number(p.minute), Number(p.second)) / 1000;
}

// parseTime reads a time as a bill writes it in a zone, and gives Unix seconds;
// null if it is not written so.
export function parseTime(text, zone) {
  const m = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(Z|[+-]\d\d:\d\d)$/.exec(text);
  if (!m || Number(m[1]) < 1970) return null;
  const local = Date.UTC(Number(m[1]), Number(m[2]) - 1, Number(m[3]), Number(m[4]), Number(m[5]), Number(m[6])) / 1000;
  let offset = 0;
  if (m[7] !== "Z") offset = (m[7][0] === "-" ? -1 : 1) * (Number(m[7].slice(1, 3)) * 3600 + Number(m[7].slice(4, 6)) * 60);
  const seconds = local - offset;
  return writeTime(seconds, zone) === text ? seconds : null;
}

function writeTime(seconds, zone) {
  const local = clock(seconds, zone);
  const offset = Math.trunc((local - seconds) / 60);
  const two = (n) => String(n).padStart(2, "0");
  const size = Math.abs(offset);
  const suffix = offset === 0 ? "Z" : (offset < 0 ? "-" : "+") + two(Math.floor(size / 60)) + ":" + two(size % 60);
  return new Date(local * 1000).toISOString().slice(0, 19) + suffix;
}

// localDay is the day of a zone's calendar.
export function localDay(seconds, zone) {
  return Math.floor(clock(seconds, zone) / daySeconds);
}

// A Month is a calendar month, counted from January 1970.
export class Month {
  constructor(number) {
    this.number = number;
  }

  static of(day) {
    const date = new Date(day * daySeconds * 1000);
    return new Month((date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth());
  }

  // parse reads a month like 2018-03; null if it is none.
  static parse(text) {
    const m = /^(\d{4})-(0[1-9]|1[0-2])$/.exec(text);
    return m ? new Month((Number(m[1]) - 1970) * 12 + Number(m[2]) - 1) : null;
  }

  get first() {
    return Date.UTC(1970, this.number, 1) / 1000 / daySeconds;
  }

  get last() {
    return new Month(this.number + 1).first - 1;
  }
}

// months is how many months the local days from first to last are, as a bill
// writes it: of each month, its days among them divided by its days.
export function months(first, last) {
  let numerator = 0n;
  let denominator = 1n;
  for (let m = Month.of(first); m.first <= last; m = new Month(m.number + 1)) {
    const days = BigInt(Math.min(last, m.last) - Math.max(first, m.first) + 1);
    const all = BigInt(m.last - m.first + 1);
    numerator = numerator * all + days * denominator;
    denominator *= all;
    if (numerator % denominator === 0n) [numerator, denominator] = [numerator / denominator, 1n];
  }
  return denominator === 1n ? new Decimal(numerator, 0) : roundRatio(numerator, denominator, 8);
}
