/** Versions are signed 64-bit numbers, kept as a signed high and an unsigned low word on hot paths. */
export interface Version {
  high: number;
  low: number;
}

export const VERSION_MIN: Readonly<Version> = { high: -0x8000_0000, low: 0 };

export function isAbove(high: number, low: number, than: Readonly<Version>): boolean {
  return high > than.high || (high === than.high && low > than.low);
}

export function versionOf(value: bigint): Version {
  return { high: Number(BigInt.asIntN(32, value >> 32n)), low: Number(BigInt.asUintN(32, value)) };
}

export function versionNumber({ high, low }: Readonly<Version>): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
