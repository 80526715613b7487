import type { OnnxNode } from '../../checkpoint/formats/onnxModel';

/**
 * Module path of each node, in the words of the model that was exported.
 *
 * - PyTorch's newer exporter writes it into the node's metadata: `['', 'blocks.0', 'blocks.0.attn',
 *   'linear']`.
 * - Its older one names nodes after it: `/blocks/blocks.0/attn/qkv/MatMul` is `blocks.0.attn.qkv`.
 * - Otherwise by the parameters a node reads: `blocks.0.attn.qkv.weight`.
 *
 * A node about which nothing is said lies in what its neighbours have in common.
 */
export function moduleScopes(
  nodes: readonly OnnxNode[],
  isParameter: (name: string) => boolean,
): readonly string[] {
  const stated = nodes.map(
    (node) => scopeFromMetadata(node) ?? scopeFromName(node) ?? scopeFromParameters(node, isParameter),
  );
  const own = stated.map((scope, index) => scope ?? scopeOfBias(nodes, index, stated));
  const next = new Array<string | undefined>(nodes.length);
  let after: string | undefined;
  for (let index = nodes.length - 1; index >= 0; index--) {
    next[index] = after;
    after = own[index] ?? after;
  }
  let before: string | undefined;
  return own.map((scope, index) => {
    before = scope ?? before;
    return scope ?? commonScope(before ?? '', next[index] ?? '');
  });
}

/**
 * Path up to and with its last numbered part, the block: `blocks.3.attn` → `blocks.3`. Without a
 * number the path itself.
 */
export function blockOf(scope: string): string {
  return /^(?:.*\.)?[^.]*\d+(?=\.|$)/.exec(scope)?.[0] ?? scope;
}

function scopeFromMetadata(node: OnnxNode): string | undefined {
  const scopes = node.metadata['pkg.torch.onnx.name_scopes'];
  if (scopes === undefined) return undefined;
  const parts = [...scopes.matchAll(/'([^']*)'/g)].map(([, part = '']) => part);
  return parts.at(-2);
}

function scopeFromName(node: OnnxNode): string | undefined {
  if (!node.name.startsWith('/')) return undefined;
  const parts = node.name.split('/').slice(1, -1);
  return parts.filter((part, index) => !parts[index + 1]?.startsWith(`${part}.`)).join('.');
}

function scopeFromParameters(node: OnnxNode, isParameter: (name: string) => boolean): string | undefined {
  const name = node.inputs.find((input) => isParameter(input) && /^[^:/]+\.[^.]+$/.test(input));
  return name?.slice(0, name.lastIndexOf('.'));
}

/** A product whose weight the exporter renamed lies where the bias that is added to it lies. */
function scopeOfBias(
  nodes: readonly OnnxNode[],
  index: number,
  scopes: readonly (string | undefined)[],
): string | undefined {
  const [node, next] = [nodes[index], nodes[index + 1]];
  const biased =
    node?.opType === 'MatMul' && next?.opType === 'Add' && next.inputs.includes(node.outputs[0] ?? '');
  return biased ? scopes[index + 1] : undefined;
}

function commonScope(a: string, b: string): string {
  const [left, right] = [a.split('.'), b.split('.')];
  const length = left.findIndex((part, index) => part !== right[index]);
  return length < 0 ? a : left.slice(0, length).join('.');
}
