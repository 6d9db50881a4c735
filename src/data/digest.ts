// A short fingerprint of records: tells data apart that was mixed up, on whatever machine and path it lies. No protection against forgery.
import type { DataRecord } from "./records.js";

const PRIME = 0x01000193;

/** FNV-1a over 16-bit pieces, from two beginnings: 64 bits that depend on all content of the records, and on their order. */
export class Digest {
  #low = 0x811c9dc5 | 0;
  #high = 0x3c6ef372 | 0;

  /** Labels do not count: calibration does not read them. */
  add(record: DataRecord): void {
    if ("inputs" in record) {
      for (const [name, { dtype, dims, data }] of Object.entries(record.inputs)) {
        this.#text(`${name} ${dtype} ${dims.join(" ")}`);
        this.#bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      }
    } else if ("tokens" in record) {
      this.#text(String(record.tokens.length));
      for (const token of record.tokens) this.#text(token);
    } else {
      this.#text(record.text);
      if (record.textPair !== undefined) this.#text(record.textPair);
    }
    this.#piece(0xffff);
  }

  /** What training reads beside. */
  addLabels(record: DataRecord): void {
    const { label, labels, answers } = { label: null, labels: null, answers: null, ...record };
    this.#text(JSON.stringify([label, labels, answers]));
  }

  /** 16 hexadecimal digits. */
  get hex(): string {
    return [this.#low, this.#high].map((n) => (n >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #text(text: string): void {
    for (let i = 0; i < text.length; i++) this.#piece(text.charCodeAt(i));
    this.#piece(0xfffe);
  }

  #bytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.#piece(bytes[i] as number);
  }

  #piece(piece: number): void {
    this.#low = Math.imul(this.#low ^ piece, PRIME);
    // Turned, so that the halves do not follow each other.
    this.#high = Math.imul((this.#high ^ piece) + 0x9e37, PRIME);
    this.#high ^= this.#high >>> 15;
  }
}
