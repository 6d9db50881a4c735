// Two projects: `fast` runs at every save, `slow` holds what needs minutes or whole models.
import { defineConfig } from "vitest/config";

const SLOW = "**/*.slow.test.ts";

export default defineConfig({
  test: {
    setupFiles: ["test/seed.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "fast",
          include: ["src/**/*.test.ts", "test/**/*.test.ts"],
          exclude: [SLOW],
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: "slow",
          include: [`src/${SLOW}`, `test/${SLOW}`],
          // One file at a time: they measure memory, and each may use every core.
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
