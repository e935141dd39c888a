// The payload of a bill as a text: one JSON object, in its canonical form, with
// the members that a bill has (spec/bill.md section 6, step 4).

import { refuse } from "./refusal.js";
import { fromUTF8 } from "./bytes.js";
import { JSONNumber, isJSON, readJSON, whitespaceAt, writeString } from "./json.js";

const version = "1";

// The members, sorted by name: "text", "number" or "list", and whether it may be
// left out.
const billMembers = [
  ["carries", "text", true], ["corrects", "text", true], ["currency", "text"], ["estimated", "number"],
  ["export_kwh", "text", true], ["from", "text"], ["import_kwh", "text", true], ["intervals", "number"],
  ["issuer", "text"], ["lines", "list"], ["readings_root", "text"], ["subject", "text"], ["tariff", "text"],
  ["tariff_digest", "text"], ["timezone", "text"], ["to", "text"], ["total", "text"],
  ["unbilled_seconds", "number", true], ["v", "number"],
];

const lineMembers = [
  ["amount", "text"], ["band", "text", true], ["kind", "text"], ["minutes", "number", true], ["month", "text", true],
  ["name", "text", true], ["note", "text", true], ["on", "text", true], ["price", "text", true],
  ["quantity", "text", true], ["series", "text", true], ["share", "text", true], ["tier", "number", true],
  ["unit", "text"], ["withheld", "text", true],
];

// parsePayload reads a payload, and refuses every text but the canonical one of
// what it says. Numbers become BigInt; texts and numbers that are left out are
// "" and 0n.
export function parsePayload(bytes) {
  const text = fromUTF8(bytes);
  if (text === null || !isJSON(text) || !/^[ \t\r\n]*\{/.test(text)) refuse("json", "json");
  const at = whitespaceAt(text);
  if (at >= 0) refuse("whitespace", "whitespace", { at });
  const { value, duplicate } = readJSON(text);
  if (duplicate !== null) refuse("duplicate", "duplicate", { member: duplicate });
  const v = value.get("v");
  if (v !== undefined && !(v instanceof JSONNumber && v.text === version)) refuse("version", "version");
  checkObject(value, billMembers, 0);
  value.get("lines").forEach((line, i) => {
    if (!(line instanceof Map)) refuse("member", "memberType", { member: "lines", line: i + 1 });
    checkObject(line, lineMembers, i + 1);
  });
  if (write(value, billMembers) !== text) refuse("canonical", "canonical");
  return object(value, billMembers);
}

function typeOf(value) {
  if (typeof value === "string") return "text";
  if (value instanceof JSONNumber) return "number";
  return Array.isArray(value) ? "list" : "other";
}

// checkObject checks that an object has its members, each of its type, and no
// others. line is 0 for the bill itself.
function checkObject(value, members, line) {
  for (const [name, type, optional] of members) {
    if (!value.has(name)) {
      if (!optional) refuse("member", "memberMissing", { member: name, line });
    } else if (typeOf(value.get(name)) !== type) {
      refuse("member", "memberType", { member: name, line });
    }
  }
  for (const name of value.keys()) {
    if (!members.some(([known]) => known === name)) refuse("member", "memberUnknown", { member: name, line });
  }
}

// write is the canonical text of an object; null if there is none.
function write(value, members) {
  const parts = [];
  for (const [name, type, optional] of members) {
    if (!value.has(name)) continue;
    const member = value.get(name);
    let text;
    switch (type) {
      case "text":
        if (optional && member === "") return null; // is left out
        text = writeString(member);
        break;
      case "number": {
        const n = member.integer();
        if (n === null || (optional && n === 0n)) return null;
        text = n.toString();
        break;
      }
      default: {
        const lines = member.map((line) => write(line, lineMembers));
        if (lines.includes(null)) return null;
        text = "[" + lines.join(",") + "]";
      }
    }
    parts.push(`"${name}":${text}`);
  }
  return "{" + parts.join(",") + "}";
}

// object is a plain object of what was read.
function object(value, members) {
  const out = {};
  for (const [name, type] of members) {
    const member = value.get(name);
    if (type === "number") out[name] = member === undefined ? 0n : member.integer();
    else if (type === "list") out[name] = member.map((line) => object(line, lineMembers));
    else out[name] = member ?? "";
  }
  return out;
}
