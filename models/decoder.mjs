// Rewrites the last layer of a Moonshine decoder so that it is multiplied as it
// is stored. The layer turns what the decoder thinks into a score for each of
// 32768 tokens. In the package its weights are stored in eight bits, turned into
// floats for every token that is said, and multiplied as floats: half the time
// of a token in tiny, a third in base. Here the same weights are multiplied in
// eight bits, in blocks that each have a scale, by the operator that ONNX
// Runtime has for it (com.microsoft.MatMulNBits). docs/asr.md has what that does
// to the words and to the time.
import onnxProto from "onnx-proto";

const { onnx } = onnxProto;

// How many weights share a scale; a power of two, 16 at least. The smaller, the
// nearer to the product of floats.
const block = 16;

// ONNX's numbers for types of values and of attributes.
const FLOAT = 1;
const UINT8 = 2;
const INT64 = 7;
const INT = 2;

/**
 * @param {Uint8Array} bytes a decoder of the package: one If with a graph for the
 *   first token and a graph for the ones after it
 * @returns {Uint8Array} the same decoder with the other last layer
 * @throws {Error} where the decoder is not built as expected
 */
export function withFastLastLayer(bytes) {
  const model = onnx.ModelProto.decode(bytes);
  const known = new Map(model.graph.initializer.map((t) => [t.name, t]));
  const weights = [...known.values()].find((t) => /embed_tokens\.weight.*_quantized$/.test(t.name));
  const branches = model.graph.node.flatMap((n) => n.attribute.filter((a) => a.g).map((a) => a.g));
  if (!weights || weights.dataType !== UINT8 || branches.length !== 2) throw new Error("the decoder is not the one expected");
  const sibling = (end) => known.get(weights.name.replace(/_quantized$/, end));
  const [tokens, width] = weights.dims.map(Number);
  if (weights.rawData.length !== tokens * width) throw new Error("the decoder's last layer is stored in another way than expected");
  const blocks = width / block;
  if (!Number.isInteger(blocks)) throw new Error(`the decoder is ${width} wide, which is no multiple of ${block}`);

  // The same bytes, seen as blocks; in the package all weights share one scale.
  weights.dims = [tokens, blocks, block];
  const scales = new Float32Array(tokens * blocks).fill(floatOf(sibling("_scale")));
  const zeros = new Uint8Array(tokens * blocks).fill(byteOf(sibling("_zero_point")));
  const whole = BigInt64Array.of(0n, 0n, BigInt(width));
  model.graph.initializer.push(
    tensor("last_layer_scales", FLOAT, [tokens, blocks], scales),
    tensor("last_layer_zero_points", UINT8, [tokens, blocks], zeros),
    tensor("token_shape", INT64, [3], whole),
  );

  for (const graph of branches) {
    const turned = new Set(); // what is made of the weights for the product of floats
    const nodes = [];
    let products = 0;
    for (const node of graph.node) {
      const input = node.input[0];
      if ((node.opType === "Transpose" && input === weights.name) || (node.opType === "DequantizeLinear" && turned.has(input))) {
        turned.add(node.output[0]);
      } else if (node.opType === "MatMul" && turned.has(node.input[1])) {
        nodes.push(
          onnx.NodeProto.create({
            name: node.name,
            opType: "MatMulNBits",
            domain: "com.microsoft",
            input: [input, weights.name, "last_layer_scales", "last_layer_zero_points"],
            output: node.output,
            // 4 allows products in eight bits.
            attribute: [number("K", width), number("N", tokens), number("bits", 8), number("block_size", block), number("accuracy_level", 4)],
          }),
        );
        products++;
      } else if (node.opType === "Gather" && input === weights.name) {
        // The first layer looks tokens up in the same weights.
        const found = `${node.output[0]}_blocks`;
        nodes.push(
          onnx.NodeProto.create({ ...node, output: [found] }),
          onnx.NodeProto.create({ name: `${node.name}_whole`, opType: "Reshape", input: [found, "token_shape"], output: node.output }),
        );
      } else {
        nodes.push(node);
      }
    }
    if (products !== 1) throw new Error(`the decoder has ${products} last layers in ${graph.name}, not one`);
    graph.node = nodes;
  }
  if (model.opsetImport.some((o) => o.domain === "com.microsoft")) throw new Error("the decoder has operators of Microsoft's already");
  model.opsetImport.push(onnx.OperatorSetIdProto.create({ domain: "com.microsoft", version: 1 }));
  return onnx.ModelProto.encode(model).finish();
}

function tensor(name, dataType, dims, values) {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return onnx.TensorProto.create({ name, dataType, dims, rawData });
}

function number(name, i) {
  return onnx.AttributeProto.create({ name, type: INT, i });
}

// One for all weights: a scale or a zero point for each row would be another layer.
function single(t, dataType) {
  return t?.dataType === dataType && t.dims.every((n) => Number(n) === 1);
}

function floatOf(t) {
  if (!single(t, FLOAT)) throw new Error("the decoder's last layer has no single scale");
  return t.rawData.length ? new DataView(t.rawData.buffer, t.rawData.byteOffset).getFloat32(0, true) : t.floatData[0];
}

function byteOf(t) {
  if (!single(t, UINT8)) throw new Error("the decoder's last layer has no single zero point");
  return t.rawData.length ? t.rawData[0] : t.int32Data[0];
}
