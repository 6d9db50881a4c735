// Damaged graphs: whatever a file says, a pass ends soon and either rewrites the graph or throws an error for the user.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { randomFrom, type Random } from "../../test/mutate.js";
import { hasShared, zooGraphs } from "../../test/shared.js";
import { OctavoError } from "../errors.js";
import { importModel } from "../graph/import.js";
import { verify } from "../graph/verify.js";
import type { ModelProto, NodeProto } from "../onnx/proto.js";
import { decodeModel } from "../onnx/reader.js";
import { reorderGelu } from "./gelu.js";
import { removeNanGuards } from "./nan-guard.js";
import { unfuseResiduals } from "./residuals.js";
import { simplify } from "./simplify.js";

type Damage = (nodes: NodeProto[], random: Random) => void;

function pick<T>(list: readonly T[] | undefined, random: Random): T | undefined {
  return list?.[Math.floor(random() * list.length)];
}

function change(node: NodeProto | undefined, fields: Partial<NodeProto>): void {
  if (node !== undefined) Object.assign(node, fields);
}

const DAMAGES: readonly Damage[] = [
  function anotherInput(nodes, random) {
    const node = pick(nodes, random);
    const name = pick(pick(nodes, random)?.output, random) ?? "";
    const at = Math.floor(random() * (node?.input?.length ?? 0));
    change(node, { input: node?.input?.with(at, name) ?? [] });
  },
  function noInput(nodes, random) {
    const node = pick(nodes, random);
    change(node, { input: node?.input?.map((name) => (random() < 0.5 ? "" : name)) ?? [] });
  },
  function fewerInputs(nodes, random) {
    const node = pick(nodes, random);
    change(node, { input: node?.input?.slice(1) ?? [] });
  },
  function anotherOperator(nodes, random) {
    change(pick(nodes, random), { opType: pick(nodes, random)?.opType ?? "" });
  },
  function anotherAttributes(nodes, random) {
    change(pick(nodes, random), { attribute: pick(nodes, random)?.attribute ?? [] });
  },
  function wildNumbers(nodes, random) {
    const node = pick(nodes, random);
    const i = pick([-1, 0, 2 ** 31, -(2 ** 40), 9], random) ?? 0;
    const wild = (node?.attribute ?? []).map((a) =>
      a.i === undefined ? { ...a, ...(a.ints && { ints: [...a.ints, i] }) } : { ...a, i },
    );
    change(node, { attribute: wild });
  },
  function noOutput(nodes, random) {
    change(pick(nodes, random), { output: [] });
  },
  function anotherOrder(nodes, random) {
    const node = pick(nodes, random);
    if (node !== undefined) nodes.splice(nodes.indexOf(node), 1);
    if (node !== undefined) nodes.splice(Math.floor(random() * nodes.length), 0, node);
  },
];

function damaged(proto: ModelProto, random: Random): ModelProto {
  const nodes = (proto.graph?.node ?? []).map((node) => ({ ...node }));
  for (let n = 1 + Math.floor(random() * 3); n > 0; n--) pick(DAMAGES, random)?.(nodes, random);
  return { ...proto, graph: { ...proto.graph, node: nodes } };
}

describe.skipIf(!hasShared)("passes on damaged graphs of the zoo (../shared)", () => {
  const small = /^(bert|deberta-v3|gpt2-lm|modernbert|t5-encoder)\./;
  test.each(zooGraphs().filter(({ name }) => small.test(name)))("$name", ({ path }) => {
    const proto = decodeModel(readFileSync(path));
    let rewritten = 0;
    for (let seed = 0; seed < 60; seed++) {
      try {
        const model = importModel(damaged(proto, randomFrom(seed)));
        verify(model);
        for (const pass of [simplify, reorderGelu, removeNanGuards, unfuseResiduals]) pass(model);
        verify(model);
        rewritten++;
      } catch (error) {
        if (!(error instanceof OctavoError)) throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    expect(rewritten).toBeGreaterThan(10);
  });
});
