import { expect, test } from "vitest";
import { fuzz } from "../../test/fuzz.js";

test(
  "20,000 damaged copies of models are errors for the user or models that can be written, never a crash",
  { timeout: 300_000 },
  () => {
    const { mutations, errors, models, tensors } = fuzz(20_000, 1);
    expect(errors + models).toBe(mutations);
    // Damage that is always noticed, or never, would test nothing.
    expect(errors).toBeGreaterThan(2000);
    expect(models).toBeGreaterThan(2000);
    expect(tensors).toBeGreaterThan(2000);
  },
);
