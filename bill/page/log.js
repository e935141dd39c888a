// The TTP's log: checkpoints that it signs and the utility cosigns, and proofs
// (spec/bill.md section 9; C2SP tlog-checkpoint, signed-note, tlog-cosignature;
// RFC 6962).

import { refuse } from "./refusal.js";
import { concat, equal, fitsEd25519, fromBase64, sha256, utf8 } from "./bytes.js";

const algEd25519 = 1;
const algCosignature = 4;

// parseVerifierKey reads a verifier key of C2SP signed-note; null if it is none.
// The bytes of a name and a key are told apart by the hash of both.
async function parseVerifierKey(text, kind) {
  const m = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text);
  const raw = m && fromBase64(m[3]);
  if (!raw || raw.length !== 33) return null;
  const hash = async (alg) => (await sha256(utf8(m[1] + "\n"), Uint8Array.of(alg), raw.slice(1))).slice(0, 4);
  const named = Uint8Array.from(m[2].match(/../g), (h) => parseInt(h, 16));
  if (!equal(named, await hash(raw[0])) || (raw[0] !== algEd25519 && raw[0] !== kind)) return null;
  return { name: m[1], hash: await hash(kind), public: raw.slice(1) };
}

// parseLogKeys reads the keys of a log: a JSON object of origin, log and witness.
export async function parseLogKeys(text) {
  let value = null;
  try {
    value = JSON.parse(text);
  } catch {
    // told below
  }
  const known = ["log", "origin", "witness"];
  if (value === null || typeof value !== "object" || Array.isArray(value) || Object.keys(value).sort().join() !== known.join()) {
    refuse("key-set", "logKeysForm");
  }
  if (typeof value.origin !== "string" || value.origin === "" || /[\r\n]/.test(value.origin)) refuse("key-set", "logKeysForm");
  const keys = { origin: value.origin };
  for (const [name, kind] of [["log", algEd25519], ["witness", algCosignature]]) {
    keys[name] = typeof value[name] === "string" ? await parseVerifierKey(value[name], kind) : null;
    if (keys[name] === null) refuse("key-set", "logKey", { name });
  }
  return keys;
}

// parseNote takes a signed note apart; null if it is none.
function parseNote(text) {
  const at = text.lastIndexOf("\n\n");
  if (at < 0 || !text.endsWith("\n") || /[\u0000-\u0009\u000b-\u001f]/.test(text)) return null;
  const signatures = [];
  for (const line of text.slice(at + 2, -1).split("\n")) {
    const m = /^\u2014 ([^+\s]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line);
    const raw = m && fromBase64(m[2]);
    if (!raw || raw.length < 5) return null;
    signatures.push({ name: m[1], hash: raw.slice(0, 4), bytes: raw.slice(4) });
  }
  return { body: text.slice(0, at + 1), signatures };
}

// openCheckpoint checks that a checkpoint is signed by the log and cosigned by
// the utility.
export async function openCheckpoint(text, keys) {
  const note = parseNote(text);
  const m = note && /^([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n/.exec(note.body);
  if (!m || m[1] !== keys.origin) refuse("checkpoint", "checkpoint", { origin: keys.origin });
  const by = (key) => note.signatures.find((s) => s.name === key.name && equal(s.hash, key.hash));
  const signature = by(keys.log);
  if (!signature || !(await fitsEd25519(keys.log.public, signature.bytes, utf8(note.body)))) {
    refuse("checkpoint", "checkpoint", { origin: keys.origin });
  }
  const cosignature = by(keys.witness);
  if (!cosignature) refuse("cosignature", "cosignature", { name: keys.witness.name });
  const time = cosignature.bytes.slice(0, 8).reduce((n, b) => n * 256n + BigInt(b), 0n);
  const message = utf8(`cosignature/v1\ntime ${time}\n${note.body}`);
  if (!(await fitsEd25519(keys.witness.public, cosignature.bytes.slice(8), message))) {
    refuse("checkpoint", "checkpoint", { origin: keys.origin });
  }
  return { size: BigInt(m[2]), root: fromBase64(m[3]), time };
}

const leafHash = (entry) => sha256(Uint8Array.of(0), entry);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

// includes checks that an audit path leads from an entry to a checkpoint (RFC
// 9162 section 2.1.3.2).
export async function includes(checkpoint, entry, index, hashes) {
  const bad = () => refuse("inclusion", "inclusion", { index: index.toString(), size: checkpoint.size.toString() });
  if (index >= checkpoint.size) bad();
  let [at, last] = [index, checkpoint.size - 1n];
  let hash = await leafHash(entry);
  for (const other of hashes) {
    if (last === 0n) bad();
    if (at % 2n === 1n || at === last) {
      hash = await nodeHash(other, hash);
      while (at % 2n === 0n && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      hash = await nodeHash(hash, other);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n || !equal(hash, checkpoint.root)) bad();
}

// oneLog checks that two checkpoints are of one log, and tells whether that could
// be checked (RFC 9162 section 2.1.4.2).
export async function oneLog(a, b, hashes) {
  const [small, large] = a.size <= b.size ? [a, b] : [b, a];
  const bad = () => refuse("consistency", "consistencyProof", { small: small.size.toString(), large: large.size.toString() });
  if (small.size === large.size) {
    if (!equal(small.root, large.root)) refuse("consistency", "consistencyForked", { size: small.size.toString() });
    return true;
  }
  if (small.size === 0n) return true;
  if (hashes.length === 0) return false;
  const path = isPowerOfTwo(small.size) ? [small.root, ...hashes] : [...hashes];
  let [at, last] = [small.size - 1n, large.size - 1n];
  while (at % 2n === 1n) [at, last] = [at >> 1n, last >> 1n];
  let first = path[0];
  let second = path[0];
  for (const hash of path.slice(1)) {
    if (last === 0n) bad();
    if (at % 2n === 1n || at === last) {
      first = await nodeHash(hash, first);
      second = await nodeHash(hash, second);
      while (at % 2n === 0n && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else {
      second = await nodeHash(second, hash);
    }
    [at, last] = [at >> 1n, last >> 1n];
  }
  if (last !== 0n || !equal(first, small.root) || !equal(second, large.root)) bad();
  return true;
}

const isPowerOfTwo = (n) => (n & (n - 1n)) === 0n;

// entryOf is what the log holds of a bill.
export function entryOf(jws, salt) {
  return sha256(concat(salt, utf8(jws)));
}
