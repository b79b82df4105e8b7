import { malformed } from '../type-codec.ts';
import type { Output } from './output.ts';

/** PGSQL_AF_INET; IPv6 is one more. */
const IPV4 = 2;

/** inet and cidr: `u8 family, u8 bits, u8 1 for cidr, u8 size`, then the address. */
export const inetOutput: Output = ({ bytes, start, end }) => {
  const [family, bits, cidr] = [bytes[start], bytes[start + 1], bytes[start + 2]];
  const address = bytes.subarray(start + 4, end);
  if (address.length !== (family === IPV4 ? 4 : 16)) throw malformed('an address of 4 or 16 bytes');
  const text = family === IPV4 ? address.join('.') : ipv6(address);
  return cidr === 1 || bits !== address.length * 8 ? `${text}/${bits}` : text;
};

/** The longest run of zero groups, if it is two or more, is `::`; IPv4 inside stays dotted (inet_ntop). */
function ipv6(address: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => address.readUInt16BE(at * 2));
  const run = longestZeros(groups);
  const embedsIpv4 = run.at === 0 && (run.size === 6 || (run.size === 5 && groups[5] === 0xffff));
  const shown = groups.map((group) => group.toString(16));
  if (embedsIpv4) shown.splice(6, 2, address.subarray(12).join('.'));
  if (run.size < 2) return shown.join(':');
  const [before, after] = [shown.slice(0, run.at), shown.slice(run.at + run.size)];
  return `${before.join(':')}::${after.join(':')}`;
}

function longestZeros(groups: readonly number[]): { at: number; size: number } {
  let best = { at: 0, size: 0 };
  for (let at = 0; at < groups.length; at++) {
    let size = 0;
    while (groups[at + size] === 0) size++;
    if (size > best.size) best = { at, size };
    at += size;
  }
  return best;
}

/** macaddr and macaddr8. */
export const macOutput: Output = ({ bytes, start, end }) =>
  bytes.toString('hex', start, end).replaceAll(/(..)(?!$)/g, '$1:');
