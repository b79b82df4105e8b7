declare const brand: unique symbol;

/** Place of a record in its partition; the first is 0. Never reused, gaps are allowed. */
export type Offset = number & { readonly [brand]: 'Offset' };
