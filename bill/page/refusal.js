// A refusal, as package bill of the Go sources has it: the failure class of
// spec/bill.md section 7, and what is wrong, as a key and its values, so that
// the page can say it in the reader's language.

export class Refusal extends Error {
  constructor(cls, key, values = {}) {
    super(cls + ": " + key);
    this.class = cls;
    this.key = key;
    this.values = values;
  }
}

export function refuse(cls, key, values) {
  throw new Refusal(cls, key, values);
}
