import { z } from 'zod';

/** Options under one name; an option that is not among them is a mistake. */
export const group = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'invalid_type' ? 'options, each on a line of its own' : undefined,
  });
