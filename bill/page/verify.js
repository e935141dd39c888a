// All that a page can check of a bill, in the order of spec/bill.md: the bill,
// whose it is, and the log. It needs no network, and no keys but those that it
// is given.

import { Refusal } from "./refusal.js";
import { parseKeySet } from "./keys.js";
import { openBill, parseMeter, subjectOf } from "./bill.js";
import { parsePayload } from "./payload.js";
import { checkBill } from "./check.js";
import { entryOf, includes, oneLog, openCheckpoint, parseLogKeys } from "./log.js";
import { isDocument, parseDocument, parseSeen } from "./document.js";

// verify checks a bill, or its document, and tells what it found:
//
//   { ok, class, rows: [{ state, what, key, values }], bill, keyID }
//
// state is "ok", "failed" or "skipped"; class and what of the first row that
// failed are the failure class. bill is null unless it holds by itself. The inputs are texts, and may be empty
// but for the bill and keys: { text, keys, log, meter, seen }.
export async function verify(input) {
  const found = { rows: [], bill: null, keyID: "" };
  const row = (state, what, key, values = {}) => found.rows.push({ state, what, key, values });
  try {
    await steps(input, found, row);
  } catch (e) {
    if (!(e instanceof Refusal)) throw e;
    row("failed", e.class, e.key, e.values);
  }
  const failed = found.rows.find((r) => r.state === "failed");
  return { ...found, ok: failed === undefined, class: failed?.what ?? "" };
}

async function steps(input, found, row) {
  const keys = await parseKeySet(input.keys);
  const logKeys = input.log ? await parseLogKeys(input.log) : null;
  const document = isDocument(input.text) ? parseDocument(input.text) : null;
  const jws = document ? document.jws : input.text.replace(/[\r\n]+$/, "");
  const { payload, keyID } = await openBill(jws, keys);
  row("ok", "signature", "okSignature", { id: keyID });
  const bill = parsePayload(payload);
  row("ok", "format", "okFormat");
  checkBill(bill);
  row("ok", "sums", "okSums");
  Object.assign(found, { bill, keyID });
  await subject(input, document, bill, row);
  await log(input, document, logKeys, row);
  row("skipped", "readings", "skipReadings");
}

async function subject(input, document, bill, row) {
  if (!document) return row("skipped", "subject", "skipSubjectBare");
  const given = (input.meter ?? "").trim();
  if (given !== "" && document.meter !== "" && given !== document.meter) {
    return row("failed", "subject", "subjectNamed", { meter: given, named: document.meter });
  }
  const name = given || document.meter;
  if (name === "") return row("skipped", "subject", "skipSubject");
  const meter = parseMeter(name);
  if (meter === null) return row("failed", "subject", "meterForm", { meter: name });
  if ((await subjectOf(document.salt, meter)) !== bill.subject) return row("failed", "subject", "subject", { meter: name });
  return row("ok", "subject", given ? "okSubject" : "okSubjectNamed", { meter: name });
}

async function log(input, document, keys, row) {
  const skip = (key) => row("skipped", "log", key);
  if (!document) return skip("skipLogBare");
  if (!document.proof) return skip("skipLogNone");
  if (!keys) return skip("skipLogKeys");
  const { checkpoint: text, index, hashes } = document.proof;
  const checkpoint = await openCheckpoint(text, keys);
  const entry = await entryOf(document.jws, document.salt);
  await includes(checkpoint, entry, index, hashes);
  const size = checkpoint.size.toString();
  row("ok", "log", "okLog", { index: index.toString(), size, origin: keys.origin });
  row("ok", "cosignature", "okCosignature", { name: keys.witness.name, time: Number(checkpoint.time) });
  if (!input.seen) return row("skipped", "consistency", "skipSeen");
  const seen = parseSeen(input.seen);
  const earlier = await openCheckpoint(seen.checkpoint, keys);
  const values = { seen: earlier.size.toString(), size };
  const proven = await oneLog(checkpoint, earlier, seen.hashes);
  return proven ? row("ok", "consistency", "okConsistency", values) : row("skipped", "consistency", "skipUnproven", values);
}
