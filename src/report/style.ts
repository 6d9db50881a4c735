// How reports look where they are printed: the width, and colours where they are wanted.
import pc from "picocolors";

export interface Style {
  /** Letters in a line. */
  readonly width: number;
  readonly colors: ReturnType<typeof pc.createColors>;
}

/** What a stream tells about itself. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Colours on a terminal only, unless NO_COLOR or a dumb terminal forbids them; FORCE_COLOR demands them. */
export function wantsColor({ isTTY }: Output, env: Environment): boolean {
  const set = (name: string) => env[name] !== undefined && env[name] !== "";
  if (set("NO_COLOR") || env["TERM"] === "dumb") return false;
  return set("FORCE_COLOR") ? env["FORCE_COLOR"] !== "0" : isTTY === true;
}

/** The style for a stream: as wide as its terminal (60 to 120), 80 elsewhere. */
export function styleFor(output: Output, env: Environment = {}): Style {
  const width = output.isTTY === true ? Math.min(120, Math.max(60, output.columns ?? 80)) : 80;
  return { width, colors: pc.createColors(wantsColor(output, env)) };
}
