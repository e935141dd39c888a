// The key set of a TTP (spec/bill.md section 2).

import { refuse } from "./refusal.js";
import { fromBase64url, sha256, toBase64url, utf8 } from "./bytes.js";
import { isJSON, readJSON } from "./json.js";

const maxSize = 64 * 1024;
const maxKeys = 64;

// parseKeySet reads a JWKS, and gives its bill's keys by their ids.
export async function parseKeySet(text) {
  const bad = (key, values) => refuse("key-set", key, values);
  if (utf8(text).length > maxSize) bad("keysSize", { most: maxSize });
  if (!isJSON(text)) bad("keysForm");
  const { value, duplicate } = readJSON(text);
  if (!(value instanceof Map) || !Array.isArray(value.get("keys"))) bad("keysForm");
  if (duplicate !== null) bad("keysTwice", { member: duplicate });
  if (value.get("keys").length > maxKeys) bad("keysMany", { most: maxKeys });
  const keys = new Map();
  for (const [i, jwk] of value.get("keys").entries()) {
    const key = await parseKey(jwk, (what, values) => bad(what, { number: i + 1, ...values }));
    if (key) keys.set(key.id, key.public);
  }
  if (keys.size === 0) bad("keysNone");
  return keys;
}

// parseKey reads one JWK; null if it is none of a bill's.
async function parseKey(jwk, bad) {
  if (!(jwk instanceof Map)) bad("keyForm");
  const text = (name) => {
    const v = jwk.get(name);
    if (v !== undefined && v !== null && typeof v !== "string") bad("keyForm");
    return v ?? "";
  };
  if (jwk.get("d") !== undefined) bad("keyPrivate");
  if (text("kty") !== "OKP" || text("crv") !== "Ed25519") return null;
  const raw = fromBase64url(text("x"));
  if (raw === null || raw.length !== 32) bad("keyForm");
  const id = await keyID(raw);
  if (text("kid") !== id) bad("keyID", { kid: text("kid"), want: id });
  if (text("use") !== "" && text("use") !== "sig") bad("keyUse", { use: text("use") });
  if (text("alg") !== "" && text("alg") !== "EdDSA") bad("keyUse", { use: text("alg") });
  return { id, public: raw };
}

// keyID is the RFC 7638 thumbprint of a key.
export async function keyID(raw) {
  return toBase64url(await sha256(utf8(`{"crv":"Ed25519","kty":"OKP","x":"${toBase64url(raw)}"}`)));
}
