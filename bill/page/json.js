// JSON, read so that nothing of its text is lost: numbers keep their digits,
// and a member that is given twice is found.

// A JSONNumber is a number as it is written.
export class JSONNumber {
  constructor(text) {
    this.text = text;
  }

  // integer is its value as BigInt, if it is written as 64-bit integers are in
  // canonical JSON; else null.
  integer() {
    if (!/^(0|-?[1-9][0-9]{0,18})$/.test(this.text)) return null;
    const v = BigInt(this.text);
    return v >= -(2n ** 63n) && v < 2n ** 63n ? v : null;
  }
}

// isJSON tells whether a text is one JSON value and nothing else.
export function isJSON(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const space = /[ \t\r\n]/;

// whitespaceAt is where the first white space outside of strings is in valid
// JSON; -1 if there is none.
export function whitespaceAt(text) {
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (inString && c === "\\") i++;
    else if (c === '"') inString = !inString;
    else if (!inString && space.test(c)) return i;
  }
  return -1;
}

// A Reader reads valid JSON: objects as Map, lists as Array, numbers as
// JSONNumber. duplicate is the first member that an object gives twice.
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.duplicate = null;
  }

  skip() {
    while (this.at < this.text.length && space.test(this.text[this.at])) this.at++;
  }

  value() {
    this.skip();
    switch (this.text[this.at]) {
      case "{":
        return this.object();
      case "[":
        return this.list();
      case '"':
        return this.string();
      case "t":
        this.at += 4;
        return true;
      case "f":
        this.at += 5;
        return false;
      case "n":
        this.at += 4;
        return null;
      default:
        return this.number();
    }
  }

  object() {
    const members = new Map();
    this.each("}", () => {
      this.skip();
      const name = this.string();
      this.skip();
      this.at++; // the colon
      const value = this.value();
      if (members.has(name) && this.duplicate === null) this.duplicate = name;
      members.set(name, value);
    });
    return members;
  }

  list() {
    const values = [];
    this.each("]", () => values.push(this.value()));
    return values;
  }

  // each reads elements that commas separate, up to the end.
  each(end, element) {
    this.at++;
    this.skip();
    while (this.text[this.at] !== end) {
      element();
      this.skip();
      if (this.text[this.at] === ",") this.at++;
      this.skip();
    }
    this.at++;
  }

  string() {
    const start = this.at++;
    while (this.text[this.at] !== '"') this.at += this.text[this.at] === "\\" ? 2 : 1;
    this.at++;
    return JSON.parse(this.text.slice(start, this.at));
  }

  number() {
    const start = this.at;
    while (this.at < this.text.length && /[-+.0-9eE]/.test(this.text[this.at])) this.at++;
    return new JSONNumber(this.text.slice(start, this.at));
  }
}

// readJSON reads valid JSON.
export function readJSON(text) {
  const reader = new Reader(text);
  const value = reader.value();
  return { value, duplicate: reader.duplicate };
}

const escapes = { '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

// writeString writes a string with the shortest escapes.
export function writeString(s) {
  const text = s.replace(/["\\\u0000-\u001f\u2028\u2029]/g, (c) => escapes[c] ?? "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  return '"' + text + '"';
}
