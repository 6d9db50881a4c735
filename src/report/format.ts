// Numbers and names as people read them.

/** `13.6 MB`: decimal units, three digits. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? String(value) : digits(value)} ${units[unit]}`;
}

/** `85.0 ms`, `0.42 s`, `3 min 20 s`. */
export function seconds(count: number): string {
  if (count < 0.0995) return `${digits(count * 1000)} ms`;
  if (count < 99.5) return `${digits(count)} s`;
  const whole = Math.round(count);
  const [h, min, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h} h ${min} min` : `${min} min ${s} s`;
}

/** `25.4 %` of a share 0…1. */
export function percent(share: number, decimals = 1): string {
  return `${(share * 100).toFixed(decimals)} %`;
}

/** `42.1 dB`; no noise at all is `exact`. */
export function decibels(value: number): string {
  if (value === Infinity) return "exact";
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : "no signal";
}

/** `1 site`, `3 sites`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** `13,297,538`. */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** About three digits. */
function digits(value: number): string {
  const decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return value.toFixed(decimals);
}

/** `384 × 1536`. */
export function shape(dims: readonly (number | string | null)[]): string {
  return dims.map((dim) => dim ?? "?").join(" × ");
}

/** Text from a file on one line, safe for a terminal: no control characters, which could move its cursor or forge its lines. */
export function printable(text: string): string {
  return text.replaceAll(/[\t\n\r]+/g, " ").replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what it finds
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    "\ufffd",
  );
}
