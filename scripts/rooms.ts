// The picture of docs/ARCHITECTURE.md: the rooms of src/ as floors of a house. Each floor rests on those below it.
import { arrow, BLUE, FAINT, GREEN, INK, node, ORANGE, PURPLE, svg, words } from "./svg.js";

/** A room and what is in it, in two short lines. */
type Room = readonly [name: string, first: string, second: string];

interface Floor {
  readonly title: string;
  readonly about: string;
  readonly color: string;
  readonly rooms: readonly Room[];
}

/** From the roof down. */
const FLOORS: readonly Floor[] = [
  {
    title: "entries",
    about: "what users import or run",
    color: PURPLE,
    rooms: [
      ["cli", "the command line:", "parses and prints"],
      ["node", "the verbs, bound to", "files and onnxruntime"],
      ["index", "the core: bytes in,", "bytes out"],
    ],
  },
  {
    title: "verbs",
    about: "compositions, nothing else",
    color: PURPLE,
    rooms: [
      ["pipeline", "quantize, compare,", "train, …"],
      ["cluster", "manifests for", "shards"],
      ["options", "types, schemas,", "defaults"],
    ],
  },
  {
    title: "techniques",
    about: "a folder each, tests beside",
    color: ORANGE,
    rooms: [
      ["ptq", "smoothing, GPTQ,", "second terms"],
      ["qat", "quantizers that", "learn"],
      ["train", "losses, steps,", "checkpoints"],
      ["evaluate", "predictions, SNR,", "intervals"],
      ["calibrate", "observers, range", "estimators"],
    ],
  },
  {
    title: "decisions",
    about: "what is quantized, and how",
    color: ORANGE,
    rooms: [
      ["plan", "prepare, sites →", "plan, outliers"],
      ["tasks", "labels, outputs,", "metrics"],
      ["targets", "legal, lowered,", "linted"],
      ["quant", "scales, sites,", "the plan"],
    ],
  },
  {
    title: "the world",
    about: "behind interfaces",
    color: GREEN,
    rooms: [
      ["benchmark", "shapes,", "timing"],
      ["host", "files, clocks,", "sessions"],
      ["report", "data, text,", "HTML page"],
      ["data", "files, tokens,", "batches"],
      ["inputs", "ids, masks,", "dummies"],
      ["runtime", "onnxruntime", "(node, web)"],
    ],
  },
  {
    title: "the graph",
    about: "ONNX in, ONNX out",
    color: BLUE,
    rooms: [
      ["autodiff", "gradients", "as nodes"],
      ["passes", "one exact", "rewrite a file"],
      ["ops", "traits, types,", "folding"],
      ["graph", "nodes, values,", "print, verify"],
      ["onnx", "the format,", "tensors"],
    ],
  },
  {
    title: "ground",
    about: "",
    color: INK,
    rooms: [
      ["math", "seeded randomness,", "quantiles"],
      ["errors", "all that is the user's", "to mend"],
    ],
  },
];

const WIDTH = 760;
const [LEFT, RIGHT] = [196, 740];
const [TOP, HEIGHT, GAP] = [52, 80, 8];

export function rooms(): string {
  const parts = FLOORS.flatMap((floor, i) => floorAt(floor, TOP + i * HEIGHT));
  const foot = TOP + FLOORS.length * HEIGHT;
  return svg(WIDTH, foot + 12, [
    words(16, 28, "The rooms of src/: imports point down, or to the right", {
      bold: true,
      size: 15,
    }),
    ...parts,
    arrow(186, TOP + 4, 186, foot - 14, FAINT),
  ]);
}

function floorAt({ title, about, color, rooms: all }: Floor, y: number): string[] {
  const width = Math.floor((RIGHT - LEFT + GAP) / all.length - GAP);
  return [
    words(16, y + 20, title, { bold: true, color }),
    words(16, y + 38, about, { size: 11 }),
    ...all.flatMap(([name, first, second], i) => {
      const x = LEFT + i * (width + GAP);
      const caption = [first, second].map((text, n) =>
        words(x + width / 2, y + 43 + 13 * n, text, { anchor: "middle", size: 10.5 }),
      );
      return [node(x, y, width, name, color), ...caption];
    }),
  ];
}
