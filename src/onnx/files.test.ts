import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { differences } from "../../test/differences.js";
import { fixturePath } from "../../test/fixture.js";
import {
  ExternalDataError,
  ModelNotFoundError,
  ModelTooLargeError,
  OnnxFormatError,
  OutputExistsError,
  OutputIsInputError,
  WriteFailedError,
} from "../errors.js";
import { systemMessage } from "./file-source.js";
import { openModelFile, writeModelFile, type ModelFile } from "./files.js";
import type { ModelProto, TensorProto } from "./proto.js";
import { decodeModel } from "./reader.js";
import { blobOf } from "./source.js";
import { tensorFromProto } from "./tensor-proto.js";
import { floatsOf, numbersOf } from "./values.js";

let base: string;
let folder: string;
const open: ModelFile[] = [];

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "octavo-")));
  folder = join(base, "model");
  mkdirSync(folder);
});

afterEach(() => {
  for (const file of open.splice(0)) file.close();
  rmSync(base, { recursive: true, force: true });
});

function opened(path: string): ModelFile {
  const file = openModelFile(path);
  open.push(file);
  return file;
}

function initializers(file: ModelFile): TensorProto[] {
  return decodeModel(file.source).graph?.initializer ?? [];
}

function copyFixture(): string {
  copyFileSync(fixturePath("onnx/external.onnx"), join(folder, "external.onnx"));
  copyFileSync(fixturePath("onnx/external.bin"), join(folder, "external.bin"));
  return join(folder, "external.onnx");
}

function weight(name: string, size: number): TensorProto {
  const values = Float32Array.from({ length: size }, (_, i) => i % 97);
  return { name, dataType: 1, dims: [size], rawData: blobOf(values) };
}

function modelOf(...initializer: TensorProto[]): ModelProto {
  return { irVersion: 8, graph: { name: "g", initializer } };
}

describe("opening", () => {
  test("a model and its data file are read without being loaded", () => {
    const file = opened(copyFixture());
    const [first = {}, second = {}] = initializers(file);
    expect(numbersOf(tensorFromProto(first, file.external))).toEqual([1, 2, 3, 4]);
    expect(numbersOf(tensorFromProto(second, file.external))).toEqual([5, 6, 7, 8]);
  });

  test.each([
    ["a missing file", "none.onnx", "does not exist"],
    ["a folder", ".", "it is a folder"],
    ["a path through a file", "file.txt/x.onnx", "not a folder"],
  ])("%s is an error that says so", (_, name, message) => {
    writeFileSync(join(folder, "file.txt"), "");
    const read = () => openModelFile(join(folder, name));
    expect(read).toThrow(ModelNotFoundError);
    expect(read).toThrow(message);
  });

  test.skipIf(process.getuid?.() === 0)("a file without permission is an error", () => {
    const path = copyFixture();
    chmodSync(path, 0);
    expect(() => openModelFile(path)).toThrow("permission denied");
  });

  test("an empty and a damaged file are errors that name the file", () => {
    const path = join(folder, "bad.onnx");
    writeFileSync(path, "");
    expect(() => decodeModel(opened(path).source)).toThrow(OnnxFormatError);
    writeFileSync(path, Uint8Array.of(0x3a, 5));
    expect(() => decodeModel(opened(path).source)).toThrow(path);
  });

  test("a file that shrinks while it is read is an error, not a crash", () => {
    const path = join(folder, "w.onnx");
    writeModelFile(path, modelOf(weight("w", 10_000)));
    const [tensor = {}] = initializers(opened(path));
    truncateSync(path, 1000);
    expect(() => tensor.rawData?.read()).toThrow(ModelNotFoundError);
    expect(() => tensor.rawData?.read()).toThrow("became shorter");
  });

  test("more data files than a process may hold open are read nonetheless", () => {
    const protos = Array.from({ length: 150 }, (_, i) => {
      writeFileSync(join(folder, `t${i}.bin`), Float32Array.of(i));
      return external(`t${i}.bin`, 1);
    });
    const file = opened(copyFixture());
    const tensors = protos.map((proto) => tensorFromProto(proto, file.external));
    const values = [...tensors, ...tensors].map((tensor) => numbersOf(tensor)[0]);
    expect(values).toEqual([...tensors.keys(), ...tensors.keys()]);
    if (existsSync("/proc/self/fd")) expect(readdirSync("/proc/self/fd").length).toBeLessThan(130);
  });
});

function external(location: string, size: number): TensorProto {
  const externalData = [{ key: "location", value: location }];
  return { name: "w", dataType: 1, dims: [size], dataLocation: 1, externalData };
}

describe("data files outside the folder are refused before they are opened", () => {
  const secret = Float32Array.of(42);
  beforeEach(() => {
    writeFileSync(join(base, "secret.bin"), secret);
    mkdirSync(join(base, "model-2"));
    writeFileSync(join(base, "model-2", "secret.bin"), secret);
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "sub", "inside.bin"), secret);
    symlinkSync(join(base, "secret.bin"), join(folder, "link.bin"));
    symlinkSync(base, join(folder, "up"));
    symlinkSync("sub", join(folder, "alias"));
    symlinkSync("loop", join(folder, "loop"));
  });
  const read = (location: string) =>
    numbersOf(tensorFromProto(external(location, 1), opened(copyFixture()).external));

  test.each([
    ["../secret.bin", "leads out of"],
    ["../nothing-there.bin", "leads out of"],
    ["sub/../../secret.bin", "leads out of"],
    ["./sub/.././../secret.bin", "leads out of"],
    ["../model-2/secret.bin", "leads out of"],
    ["..", "leads out of"],
    [".", "leads out of"],
    ["/etc/passwd", "absolute path"],
    ["//server/share", "absolute path"],
    ["\\\\server\\share", "absolute path"],
    ["C:\\secret.bin", "absolute path"],
    ["C:secret.bin", "absolute path"],
    ["sub/inside.bin\0.txt", "zero byte"],
    ["link.bin", "symbolic link"],
    ["up/secret.bin", "symbolic link"],
    ["up/model-2/secret.bin", "symbolic link"],
    ["loop", "circle"],
    ["missing.bin", "does not exist"],
    ["sub", "it is a folder"],
    ["external.onnx/x", "not a folder"],
  ])("%j", (location, message) => {
    expect(() => read(location)).toThrow(ExternalDataError);
    expect(() => read(location)).toThrow(message);
  });

  test.each(["sub/inside.bin", "./sub/inside.bin", "sub/../sub/inside.bin", "alias/inside.bin"])(
    "%j stays inside and is read",
    (location) => {
      expect(read(location)).toEqual([42]);
    },
  );

  test("the folder itself may be reached through a symbolic link", () => {
    copyFixture();
    symlinkSync(folder, join(base, "shortcut"));
    const file = opened(join(base, "shortcut", "external.onnx"));
    expect(numbersOf(tensorFromProto(external("sub/inside.bin", 1), file.external))).toEqual([42]);
  });

  test("a file that is too short is an error that says what to do", () => {
    const path = copyFixture();
    truncateSync(join(folder, "external.bin"), 70);
    const file = opened(path);
    const [, second = {}] = initializers(file);
    const short = () => tensorFromProto(second, file.external);
    expect(short).toThrow(ExternalDataError);
    expect(short).toThrow("ends at byte 80, the file has 70. Download or export");
  });
});

describe("writing", () => {
  const names = () => readdirSync(folder).toSorted();

  test("a model is read back as it was; missing folders are made", () => {
    const model = modelOf(weight("a", 5000), weight("b", 3));
    const path = join(folder, "deep", "er", "m.onnx");
    const { bytes, files } = writeModelFile(path, model);
    expect(files).toEqual([path]);
    expect(bytes).toBe(statSync(path).size);
    expect(differences(decodeModel(readFileSync(path)), model)).toEqual([]);
    expect(readdirSync(join(folder, "deep", "er"))).toEqual(["m.onnx"]);
  });

  test("an existing file is overwritten by force alone", () => {
    const path = join(folder, "m.onnx");
    writeModelFile(path, modelOf());
    expect(() => writeModelFile(path, modelOf(weight("a", 1)))).toThrow(OutputExistsError);
    expect(decodeModel(readFileSync(path))).toEqual({ irVersion: 8, graph: { name: "g" } });
    writeModelFile(path, modelOf(weight("a", 1)), { force: true });
    expect(decodeModel(readFileSync(path)).graph?.initializer).toHaveLength(1);
    expect(names()).toEqual(["m.onnx"]);
  });

  test("weights go into an aligned data file beside the model, small ones stay", () => {
    const model = modelOf(
      weight("a", 5000),
      weight("small", 10),
      weight("large", 300_000),
      weight("c", 256),
    );
    const path = join(folder, "m.onnx");
    const { bytes, files } = writeModelFile(path, model, { externalData: "always" });
    expect(files).toEqual([path, join(folder, "m.onnx_data")]);
    expect(bytes).toBe(files.reduce((sum, file) => sum + statSync(file).size, 0));
    const file = opened(path);
    const tensors = initializers(file);
    const places = tensors.map(({ externalData = [] }) => externalData.map((e) => e.value));
    expect(places).toEqual([
      ["m.onnx_data", "0", "20000"],
      [],
      ["m.onnx_data", "65536", "1200000"],
      ["m.onnx_data", "1265664", "1024"],
    ]);
    for (const [i, proto] of (model.graph?.initializer ?? []).entries()) {
      const back = tensorFromProto(tensors[i] ?? {}, file.external);
      expect(floatsOf(back)).toEqual(floatsOf(tensorFromProto(proto)));
    }
  });

  test("initializers of inner graphs and typed data go there too", () => {
    const inner = { name: "body", initializer: [weight("i", 1000)] };
    const node = { opType: "If", attribute: [{ name: "then_branch", type: 5, g: inner }] };
    const floatData = blobOf(new Float32Array(1000).fill(2));
    const typed = { name: "t", dataType: 1, dims: [1000], floatData };
    const path = join(folder, "m.onnx");
    const model = { graph: { node: [node], initializer: [typed] } };
    writeModelFile(path, model, { externalData: "always" });
    const file = opened(path);
    const { graph } = decodeModel(file.source);
    const back = [
      graph?.initializer?.[0] ?? {},
      graph?.node?.[0]?.attribute?.[0]?.g?.initializer?.[0] ?? {},
    ];
    expect(back.map((tensor) => tensor.dataLocation)).toEqual([1, 1]);
    const [t, i] = back.map((tensor) => floatsOf(tensorFromProto(tensor, file.external)));
    expect(t?.every((value) => value === 2)).toBe(true);
    expect(i?.[999]).toBe(999 % 97);
  });

  test("a model too large for one file gets its data file by itself, or is an error", () => {
    const model = modelOf(weight("a", 5000));
    const path = join(folder, "m.onnx");
    const never = () => writeModelFile(path, model, { externalData: "never", limit: 9999 });
    expect(never).toThrow(ModelTooLargeError);
    const hopeless = () => writeModelFile(path, modelOf(weight("a", 100)), { limit: 300 });
    expect(hopeless).toThrow(ModelTooLargeError);
    expect(names()).toEqual([]);
    writeModelFile(path, model, { limit: 9999 });
    expect(names()).toEqual(["m.onnx", "m.onnx_data"]);
    const other = join(folder, "other.onnx");
    writeModelFile(other, model, { limit: 99_999 });
    expect(names()).toEqual(["m.onnx", "m.onnx_data", "other.onnx"]);
  });

  test("an existing data file counts as an existing output", () => {
    writeFileSync(join(folder, "m.onnx_data"), "mine");
    const path = join(folder, "m.onnx");
    const write = () => writeModelFile(path, modelOf(weight("a", 999)), { externalData: "always" });
    expect(write).toThrow(OutputExistsError);
    expect(write).toThrow("m.onnx_data");
    expect(names()).toEqual(["m.onnx_data"]);
    expect(readFileSync(join(folder, "m.onnx_data"), "utf8")).toBe("mine");
  });

  test("external tensors of the input are copied; its file names are not taken over", () => {
    const file = opened(copyFixture());
    const model = decodeModel(file.source);
    const path = join(folder, "out.onnx");
    expect(() => writeModelFile(path, model)).toThrow(ExternalDataError);
    writeModelFile(path, model, { external: file.external });
    const whole = decodeModel(readFileSync(path));
    expect(whole.graph?.initializer?.map((tensor) => tensor.dataLocation ?? 0)).toEqual([0, 0, 0]);
    const values = whole.graph?.initializer?.map((tensor) => numbersOf(tensorFromProto(tensor)));
    expect(values?.[1]).toEqual([5, 6, 7, 8]);
  });

  test("no file that the model is read from is overwritten, by force neither", () => {
    const before = readFileSync(copyFixture());
    const file = opened(join(folder, "external.onnx"));
    const model = decodeModel(file.source);
    symlinkSync("external.onnx", join(folder, "link.onnx"));
    const options = { external: file.external, force: true };
    for (const name of ["external.onnx", "external.bin", "./x/../external.onnx", "link.onnx"]) {
      const write = () => writeModelFile(join(folder, name), model, options);
      expect(write).toThrow(OutputIsInputError);
    }
    expect(readFileSync(join(folder, "external.onnx"))).toEqual(before);
    expect(names()).toEqual(["external.bin", "external.onnx", "link.onnx"]);
    file.close();
    writeModelFile(join(folder, "external.onnx"), modelOf(), { force: true });
  });

  test("nor is its data file, when the new data file would have that name", () => {
    const path = join(folder, "m.onnx");
    writeModelFile(path, modelOf(weight("a", 999)), { externalData: "always" });
    const file = opened(path);
    const model = decodeModel(file.source);
    rmSync(path);
    const write = () =>
      writeModelFile(path, model, {
        externalData: "always",
        external: file.external,
        force: true,
      });
    expect(write).toThrow(OutputIsInputError);
    expect(write).toThrow("m.onnx_data");
  });

  test("when a tensor cannot be read, nothing is left behind and old files stay", () => {
    const path = join(folder, "m.onnx");
    writeModelFile(path, modelOf(weight("old", 999)), { externalData: "always" });
    const before = names().map((name) => readFileSync(join(folder, name)));
    const bad: TensorProto = {
      ...weight("bad", 5000),
      rawData: {
        byteLength: 20_000,
        read() {
          throw new OnnxFormatError("it is gone");
        },
      },
    };
    for (const externalData of ["always", "never"] as const) {
      const model = modelOf(weight("good", 5000), bad);
      const write = () => writeModelFile(path, model, { externalData, force: true });
      expect(write).toThrow(OnnxFormatError);
      const deep = join(folder, "new", "folder", "m.onnx");
      expect(() => writeModelFile(deep, model, { externalData })).toThrow(OnnxFormatError);
    }
    expect(names()).toEqual(["m.onnx", "m.onnx_data"]);
    expect(names().map((name) => readFileSync(join(folder, name)))).toEqual(before);
  });

  test("when the model cannot take its place, the old data file comes back", () => {
    const path = join(folder, "m.onnx");
    writeFileSync(join(folder, "m.onnx_data"), "old data");
    const late = weight("late", 5000);
    const model = modelOf({
      ...late,
      rawData: {
        byteLength: 20_000,
        read() {
          // While the data is written, someone puts a folder where the model is to go.
          mkdirSync(path, { recursive: true });
          return late.rawData?.read() ?? new Uint8Array(0);
        },
      },
    });
    const write = () => writeModelFile(path, model, { externalData: "always", force: true });
    expect(write).toThrow(WriteFailedError);
    expect(names()).toEqual(["m.onnx", "m.onnx_data"]);
    expect(readFileSync(join(folder, "m.onnx_data"), "utf8")).toBe("old data");
  });

  test.each([
    ["a folder", ".", "it is a folder"],
    ["a path through a file", "file.txt/m.onnx", "not a folder"],
    ["a name that is too long", `${"x".repeat(300)}.onnx`, "too long"],
  ])("%s cannot be written", (_, name, message) => {
    writeFileSync(join(folder, "file.txt"), "");
    const write = () => writeModelFile(join(folder, name), modelOf());
    expect(write).toThrow(WriteFailedError);
    expect(write).toThrow(message);
    expect(names()).toEqual(["file.txt"]);
  });

  test.skipIf(!existsSync("/dev/full"))("a full disk is called so", () => {
    const full = () => writeFileSync("/dev/full", "x");
    expect(full).toThrow(expect.toSatisfy((error) => systemMessage(error) === "the disk is full"));
  });
});
