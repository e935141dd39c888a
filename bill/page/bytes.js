// Bytes, and the texts that stand for them. Each content has one text only:
// what is not written in that one way is not read.

const urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const stdAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// decode reads base64 without padding; null if the text is not the one of its
// bytes.
function decode(text, alphabet) {
  const rest = text.length % 4;
  if (rest === 1) return null;
  const out = new Uint8Array(Math.floor((text.length * 6) / 8));
  let bits = 0;
  let held = 0;
  let n = 0;
  for (const c of text) {
    const v = alphabet.indexOf(c);
    if (v < 0) return null;
    held = ((held << 6) | v) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[n++] = (held >> bits) & 0xff;
    }
  }
  return (held & ((1 << bits) - 1)) === 0 ? out : null; // no stray bits
}

// fromBase64url reads base64url without padding; null if it is not.
export function fromBase64url(text) {
  return decode(text, urlAlphabet);
}

// fromBase64 reads base64 with padding; null if it is not.
export function fromBase64(text) {
  if (text.length % 4 !== 0) return null;
  const bare = text.replace(/={1,2}$/, "");
  return text.length - bare.length === (4 - (bare.length % 4)) % 4 ? decode(bare, stdAlphabet) : null;
}

export function toBase64url(bytes) {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const v = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let k = 0; k < Math.min(4, Math.ceil(((bytes.length - i) * 8) / 6)); k++) {
      out += urlAlphabet[(v >> (18 - 6 * k)) & 63];
    }
  }
  return out;
}

export function utf8(text) {
  return new TextEncoder().encode(text);
}

// fromUTF8 reads text; null if the bytes are none.
export function fromUTF8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

export function equal(a, b) {
  return a.length === b.length && a.every((v, i) => v === b[i]);
}

// bigEndian is a number, given as BigInt, in so many bytes.
export function bigEndian(value, size) {
  const out = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i--) {
    out[i] = Number(value & 255n);
    value >>= 8n;
  }
  return out;
}

export async function sha256(...parts) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}

// fitsEd25519 tells whether a signature is the key's.
export async function fitsEd25519(publicKey, signature, message) {
  if (signature.length !== 64 || publicKey.length !== 32) return false;
  try {
    const key = await crypto.subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, key, signature, message);
  } catch (e) {
    if (e.name === "DataError") return false; // 32 bytes that are no point of the curve
    throw e;
  }
}
