// Files of other tools and half downloads: each is named as what it is, with the next step. First
// bytes are as the formats' own writers leave them.
import assert from 'node:assert/strict';
import { fromBytes } from '../../../src/checkpoint/byteSource';
import { readTable } from '../../../src/checkpoint/formats';
import { u64, zipPieces } from '../../support/zipWriter';

const latin = (text: string): Buffer => Buffer.from(text, 'latin1');
const zip = (...names: readonly string[]): Buffer =>
  Buffer.concat(zipPieces(names.map((name) => ({ name, content: Buffer.from('{}') }))) as Uint8Array[]);
const zeros = Buffer.alloc(200);

const files: readonly [name: string, bytes: Buffer, what: RegExp][] = [
  ['model.mlmodel', latin('\x08\x05\x12\x10'.padEnd(44, 'x')), /a Core ML model \(CoreML\); open the model/],
  ['model.h5', latin('\x89HDF\r\n\x1a\n\0\0\0\0'), /an HDF5 file \(Keras \.h5\); export it to ONNX/],
  ['model.keras', zip('metadata.json', 'config.json', 'model.weights.h5'), /a Keras model/],
  ['download', zip('metadata.json', 'config.json', 'model.weights.h5'), /a Keras model/],
  [
    'exported.pt2',
    zip('m/data/weights/weight_0', 'm/models/model.json'),
    /torch\.export program.*state_dict/,
  ],
  ['old', zip('serialized_exported_program.json', 'version'), /torch\.export program/],
  ['model.mlpackage.zip', zip('Manifest.json', 'Data/com.apple.CoreML/model.mlmodel'), /Core ML/],
  ['all.zip', zip('a/model.safetensors', 'readme.txt'), /a zip archive of whole files; unpack it/],
  ['notes.zip', zip('readme.txt'), /a zip without data\.pkl.*readme\.txt/],
  [
    'flax_model.msgpack',
    latin('\x82\xaaclassifier\x81\xa6kernel\xc7\x10\x01'),
    /Flax weights.*from_flax=True/,
  ],
  ['weights', latin('\xde\0\x14\xa6params\x81'), /Flax weights/],
  ['saved_model.pb', latin('\x08\x01\x12\x10\x0a\x0e'), /a TensorFlow SavedModel; .*--saved-model/],
  ['frozen.pb', latin('\n\x2e\n\x05input\x12\x0bPlaceholder*\x0b'), /a frozen TensorFlow graph.*--graphdef/],
  ['vit.engine', latin(`ftrt${'\0'.repeat(20)}`), /a TensorRT engine/],
  ['vit.plan', latin('\x01\x02\x03\x04\x05\x06\x07\x08\x09'), /a TensorRT engine/],
  ['vit.mlmodel', latin('\x01\x02\x03\x04\x05\x06\x07\x08\x09'), /a Core ML model \(CoreML\)/],
  ['vit.pdiparams', latin('\x01\x02\x03\x04\x05\x06\x07\x08\x09'), /a Paddle model for inference/],
  ['vit.tflite', latin('\x1c\0\0\0TFL3\0\0'), /a TensorFlow Lite model/],
  ['vit.pte', latin('\x1c\0\0\0ET12\0\0'), /an ExecuTorch program/],
  ['vit.gguf', latin('GGUF\x03\0\0\0\0'), /a GGUF file/],
  ['vit.params', latin(`\x12\x01${'\0'.repeat(16)}`), /MXNet parameters/],
  ['__0_0.distcp', zip('archive/data.pkl'), /distributed checkpoint.*dcp_to_torch_save/],
  ['folder/.metadata', latin('\x80\x02}.      '), /distributed checkpoint.*dcp_to_torch_save/],
  ['entry.bin', latin('Entry not found'), /the text of an error.*"Entry not found"; check the address/],
  ['model.safetensors', latin('{"error":"Repository Not Found"}'), /the text of an error/],
  ['model.pth', latin('Access to model x is restricted.'), /the text of an error/],
  [
    'notes.txt',
    Buffer.from(`hello, world\n${'ä'.repeat(3000)}`),
    /this is a text, not a checkpoint: "hello, world/,
  ],
  ['model.safetensors', zeros, /zeros alone: a download that is not finished/],
  ['model.pth.crdownload', latin('\x01\x02\x03\x04\x05\x06\x07\x08\x09'), /the download is not finished/],
  [
    'm.safetensors.part',
    Buffer.concat([u64(900), latin('{"a":')]),
    /By its name the download is not finished/,
  ],
];

describe('files of other tools', () => {
  for (const [name, bytes, what] of files)
    it(`names ${name} as ${what.source}`, () =>
      assert.rejects(readTable(fromBytes(name, bytes)), (error: Error) => {
        assert.match(error.message, what);
        return true;
      }));

  it('are not seen in what is a checkpoint: a header as long as their first bytes', async () => {
    // 0x23a181 bytes of header begin like a MessagePack map with a key of one letter.
    const header = latin('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.padEnd(0x23a181));
    const bytes = Buffer.concat([u64(header.length), header, Buffer.alloc(4)]);
    assert.equal((await readTable(fromBytes('a.safetensors', bytes))).format, 'safetensors');
  });
});
