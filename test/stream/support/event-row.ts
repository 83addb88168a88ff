// Reads a row of `events` back from its RowBinary, as ClickHouse does: by the types of the columns in sql/.
import { eventColumns } from '../../../stream/event-rows.ts';
import type { Row } from '../../../stream/rows.ts';

const wide = new Set<string>(['time', 'offset', 'received_at', 'appended_at']);
const narrow = new Set<string>(['generation', 'partition']);

/** Values in the order of the columns, text as text, times and numbers as numbers. */
export function readEventRow(bytes: Buffer): Row {
  let at = 0;
  const count = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes.readUInt8(at);
      at += 1;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const row = eventColumns.map((column) => {
    const from = at;
    if (wide.has(column)) {
      at += 8;
      return Number(bytes.readBigUInt64LE(from));
    }
    if (narrow.has(column)) {
      at += 2;
      return bytes.readUInt16LE(from);
    }
    const length = count();
    at += length;
    return bytes.toString('utf8', at - length, at);
  });
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes are left over`);
  return row;
}
