// Gives each site a stable name that a person recognises: from its weight, its bias or its node, and its place where none of them tells anything.

/** Names that exporters make up: val_83, onnx::MatMul_512, _v_12, 417, const_transpose__31. */
const MADE_UP =
  /^(?:val|onnx::\w+?|_v|_val|t|tensor|const(?:_\w*?)?|initializer|init|node|n|\w*?_out)?_*\d*$/i;

/** Ends that say what a parameter is, not where it belongs. */
const ENDINGS = [
  /[./](?:weight|bias|kernel|gamma|beta)(?::\d+)?$/i,
  /[./_](?:MatMul|Gemm|BiasAdd|Gather|Conv|Add|Einsum|Tensordot)(?:[./_](?:ReadVariableOp|resource|kernel))*(?:[:_]\d+)?$/i,
  /[./](?:ReadVariableOp|resource)(?:[:_]\d+)?$/i,
  /_(?:weight|bias|kernel)(?:_transposed)?$/i,
  // A bias that was corrected for other readers alone: the site that reads it as it was goes by the same name before and after.
  /_uncorrected(?:_\d+)?$/,
];

/** The place a parameter's or node's name tells, in dots: `/m/layer.0/query/MatMul` is `m.layer.0.query`; undefined where it tells nothing. */
export function placeOf(name: string): string | undefined {
  if (MADE_UP.test(name)) return undefined;
  let place = name;
  for (let before = ""; before !== place;) {
    before = place;
    for (const ending of ENDINGS) place = place.replace(ending, "");
  }
  place = place
    .replaceAll(/[/\\]+/g, ".")
    .replaceAll(/:\d+/g, "")
    .replaceAll(/\s+/g, "_")
    .replaceAll(/^\.+|\.+$/g, "");
  return place === "" || MADE_UP.test(place) ? undefined : place;
}

/** Hands out unique names: a place that comes again (a weight that layers share) gets `#2`, `#3`, … */
export function namer(): (candidates: readonly (string | undefined)[], fallback: string) => string {
  const seen = new Map<string, number>();
  return (candidates, fallback) => {
    let base = fallback;
    for (const candidate of candidates) {
      const place = candidate === undefined ? undefined : placeOf(candidate);
      if (place !== undefined) {
        base = place;
        break;
      }
    }
    const count = (seen.get(base) ?? 0) + 1;
    seen.set(base, count);
    return count === 1 ? base : `${base}#${count}`;
  };
}
