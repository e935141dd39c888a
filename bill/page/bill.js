// A bill as a JWS: its parts, its header, its signature (spec/bill.md section 6,
// steps 1 to 3), and the meter that it is of.

import { refuse } from "./refusal.js";
import { bigEndian, fitsEd25519, fromBase64url, fromUTF8, sha256, toBase64url, utf8 } from "./bytes.js";
import { isJSON, readJSON, writeString } from "./json.js";

const maxSize = 128 * 1024;
const mediaType = "wattveil-bill+jwt";

// openBill checks the signature of a bill in compact form under a key set of
// parseKeySet, and gives its payload and the key that signed it.
export async function openBill(jws, keys) {
  const [header, payload, signature, signed] = split(jws);
  const id = keyOf(header);
  const key = keys.get(id);
  if (key === undefined) refuse("unknown-key", "unknownKey", { id });
  if (!(await fitsEd25519(key, signature, utf8(signed)))) refuse("signature", "signature", { id });
  return { payload, keyID: id };
}

// split takes a compact JWS apart.
function split(jws) {
  if (jws.startsWith("%PDF-")) refuse("jws", "jwsPDF");
  const size = utf8(jws).length;
  if (size > maxSize) refuse("jws", "jwsSize", { size, most: maxSize });
  const parts = jws.split(".");
  if (parts.length !== 3) refuse("jws", "jwsParts");
  const decoded = parts.map((part) => {
    const bytes = fromBase64url(part);
    if (bytes === null || bytes.length === 0) refuse("jws", "jwsBase64");
    return bytes;
  });
  return [...decoded, parts[0] + "." + parts[1]];
}

// keyOf checks the protected header and gives the key's id.
function keyOf(header) {
  const text = fromUTF8(header);
  if (text === null || !isJSON(text) || !/^[ \t\r\n]*\{/.test(text)) refuse("header", "header");
  const members = readJSON(text).value;
  const member = (name) => (typeof members.get(name) === "string" ? members.get(name) : "");
  const [alg, kid, typ] = [member("alg"), member("kid"), member("typ")];
  if (alg !== "EdDSA") refuse("algorithm", "algorithm", { alg });
  if (kid === "") refuse("no-key-id", "noKeyID");
  if (typ !== mediaType || text !== `{"alg":"EdDSA","kid":${writeString(kid)},"typ":"${mediaType}"}`) refuse("header", "header");
  return kid;
}

// parseMeter reads a UC number and a pseudonym like 7/0123456789abcdef; null if
// it is none.
export function parseMeter(text) {
  const m = /^(0|[1-9][0-9]{0,9})\/([0-9a-f]{16})$/.exec(text);
  if (!m || BigInt(m[1]) >= 2n ** 32n) return null;
  return { uc: BigInt(m[1]), pseudonym: BigInt("0x" + m[2]) };
}

// subjectOf is what a bill names a meter by.
export async function subjectOf(salt, meter) {
  return toBase64url(await sha256(salt, bigEndian(meter.uc, 4), bigEndian(meter.pseudonym, 8)));
}
