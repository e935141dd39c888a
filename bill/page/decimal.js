// Exact decimals: n · 10^-decimals, n being a BigInt. Nothing here is a floating
// point number.

export class Decimal {
  constructor(n, decimals) {
    this.n = n;
    this.decimals = decimals;
  }

  // parse reads the one text of a decimal (spec/tariff.md section 1); null if
  // it is none.
  static parse(text) {
    const m = /^(-?)(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,8}))?$/.exec(text);
    if (!m) return null;
    const n = BigInt(m[2] + (m[3] ?? ""));
    if (n === 0n && m[1]) return null;
    return new Decimal(m[1] ? -n : n, (m[3] ?? "").length);
  }

  static zero(decimals) {
    return new Decimal(0n, decimals);
  }

  // scaled is n with so many decimals, at least those that it has.
  scaled(decimals) {
    return this.n * 10n ** BigInt(decimals - this.decimals);
  }

  add(other) {
    const d = Math.max(this.decimals, other.decimals);
    return new Decimal(this.scaled(d) + other.scaled(d), d);
  }

  neg() {
    return new Decimal(-this.n, this.decimals);
  }

  mul(other) {
    return new Decimal(this.n * other.n, this.decimals + other.decimals);
  }

  cmp(other) {
    const d = Math.max(this.decimals, other.decimals);
    const difference = this.scaled(d) - other.scaled(d);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  get sign() {
    return this.n < 0n ? -1 : this.n > 0n ? 1 : 0;
  }

  get whole() {
    return this.n % 10n ** BigInt(this.decimals) === 0n;
  }

  // round rounds half away from zero.
  round(decimals) {
    return roundRatio(this.n, 10n ** BigInt(this.decimals), decimals);
  }

  toString() {
    const digits = (this.n < 0n ? -this.n : this.n).toString().padStart(this.decimals + 1, "0");
    const point = digits.length - this.decimals;
    const text = this.decimals > 0 ? digits.slice(0, point) + "." + digits.slice(point) : digits;
    return this.n < 0n ? "-" + text : text;
  }
}

export const one = new Decimal(1n, 0);

// roundRatio is a fraction with so many decimals, rounded half away from zero.
export function roundRatio(numerator, denominator, decimals) {
  const size = (numerator < 0n ? -numerator : numerator) * 10n ** BigInt(decimals);
  const n = (2n * size + denominator) / (2n * denominator);
  return new Decimal(numerator < 0n ? -n : n, decimals);
}
