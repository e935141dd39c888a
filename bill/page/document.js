// What travels beside a bill: its salt, and the proof that the log has it; and a
// checkpoint that was seen before (spec/bill.md section 9).

import { refuse } from "./refusal.js";
import { fromBase64url, utf8 } from "./bytes.js";
import { JSONNumber, isJSON, readJSON, writeString } from "./json.js";
import { parseMeter } from "./bill.js";

const maxDocument = 192 * 1024;
const maxBill = 128 * 1024;
const maxCheckpoint = 8 * 1024;
const maxHashes = 64;
const maxIndex = 2n ** 53n - 1n;

// isDocument tells whether a text is meant to be a document, and not a bare bill.
export function isDocument(text) {
  return text.startsWith("{");
}

const bad = (member) => refuse("document", member ? "documentMember" : "document", { member });

// parseDocument reads a document, which may end in a line break.
export function parseDocument(input) {
  if (utf8(input).length > maxDocument) bad();
  const text = input.replace(/\n$/, "").replace(/\r$/, "");
  const value = strictObject(text);
  const jws = textOf(value, "jws");
  if (jws === "" || utf8(jws).length > maxBill) bad("jws");
  const saltText = textOf(value, "salt");
  const salt = fromBase64url(saltText);
  if (salt === null || salt.length !== 16) bad("salt");
  const named = value.has("meter");
  const meter = named ? textOf(value, "meter") : "";
  if (named && parseMeter(meter) === null) bad("meter");
  const proof = value.has("proof") ? parseProof(value.get("proof")) : null;
  const written = `{"jws":${writeString(jws)}` + (named ? `,"meter":${writeString(meter)}` : "") +
    (proof ? `,"proof":${proof.text}` : "") + `,"salt":${writeString(saltText)}}`;
  if (written !== text) bad();
  return { jws, salt, meter, proof };
}

function strictObject(text) {
  if (!isJSON(text)) bad();
  const { value, duplicate } = readJSON(text);
  if (!(value instanceof Map) || duplicate !== null) bad();
  return value;
}

function textOf(value, name) {
  if (typeof value.get(name) !== "string") bad(name);
  return value.get(name);
}

function parseProof(value) {
  if (!(value instanceof Map)) bad("proof");
  const checkpoint = textOf(value, "checkpoint");
  if (checkpoint === "" || utf8(checkpoint).length > maxCheckpoint) bad("checkpoint");
  const index = value.get("index") instanceof JSONNumber ? value.get("index").integer() : null;
  if (index === null || index < 0n || index > maxIndex) bad("index");
  const hashes = hashesOf(value, "hashes", maxHashes);
  const text = `{"checkpoint":${writeString(checkpoint)},"hashes":${hashes.text},"index":${index}}`;
  return { checkpoint, index, hashes: hashes.list, text };
}

function hashesOf(value, name, most) {
  const texts = value.get(name);
  if (!Array.isArray(texts) || texts.length > most) bad(name);
  const list = texts.map((t) => (typeof t === "string" ? fromBase64url(t) : null));
  if (list.some((h) => h === null || h.length !== 32)) bad(name);
  return { list, text: `[${texts.map((t) => `"${t}"`).join(",")}]` };
}

// parseSeen reads a checkpoint that was kept: its text, a document that has one,
// or a JSON object of checkpoint and consistency.
export function parseSeen(input) {
  if (utf8(input).length > maxDocument) bad("checkpoint");
  if (!isDocument(input)) {
    if (input === "" || utf8(input).length > maxCheckpoint) bad("checkpoint");
    return { checkpoint: input, hashes: [] };
  }
  const text = input.replace(/\n$/, "").replace(/\r$/, "");
  const value = strictObject(text);
  if (value.has("jws")) {
    const { proof } = parseDocument(input);
    if (proof === null) bad("proof");
    return { checkpoint: proof.checkpoint, hashes: [] };
  }
  const checkpoint = textOf(value, "checkpoint");
  const hashes = hashesOf(value, "consistency", 2 * maxHashes);
  if (checkpoint === "" || text !== `{"checkpoint":${writeString(checkpoint)},"consistency":${hashes.text}}`) bad("checkpoint");
  return { checkpoint, hashes: hashes.list };
}
