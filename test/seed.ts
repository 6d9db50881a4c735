// The same examples of each property on every run, so that a red gate means a change; FAST_CHECK_SEED=7 tries others.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env["FAST_CHECK_SEED"] ?? 1) });
