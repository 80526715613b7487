import assert from 'node:assert/strict';
import {
  isNamesFile,
  namesByIndex,
  namesClasses,
  namesInJson,
  namesInText,
} from '../../../src/checkpoint/classNames';

const pets = ['cat', 'dog', 'fish'];

describe('lists of class names', () => {
  it('reads text, a name a line, numbered or not', () => {
    assert.deepEqual(namesInText('cat\r\ndog\n\nfish\n'), pets);
    assert.deepEqual(namesInText('0 cat\n1 dog\n2 fish'), pets);
    assert.deepEqual(namesInText('2: fish\n0: cat\n1: dog'), pets);
    assert.deepEqual(namesInText('7 up\ncola'), ['7 up', 'cola']);
    assert.equal(namesInText('\n'), undefined);
  });

  it('reads lists, index to name and name to index', () => {
    assert.deepEqual(namesByIndex(pets), pets);
    assert.deepEqual(namesByIndex({ 0: 'cat', 1: 'dog', 2: 'fish' }), pets);
    assert.deepEqual(namesByIndex({ fish: 2, cat: 0, dog: 1 }), pets);
    assert.deepEqual(namesByIndex(pets.map((name, id) => ({ id: id + 1, name }))), pets);
    for (const other of [[], {}, [1, 2], { cat: -1 }, { cat: 0.5 }, { cat: 'dog' }, 'cat', null])
      assert.equal(namesByIndex(other), undefined, JSON.stringify(other));
  });

  it('finds lists inside of JSON by their keys', () => {
    assert.deepEqual(namesInJson({ data: { class_names: pets, sizes: { a: 1 } } }), [['class_names', pets]]);
    assert.deepEqual(namesInJson(pets), [['', pets]]);
    assert.deepEqual(namesInJson({ data: { sizes: { a: 1 } } }), []);
  });

  it('knows keys and files that name classes', () => {
    for (const key of ['class_to_idx', 'idx_to_class', 'CLASSES', 'label_names', 'vocab', 'id2label'])
      assert(namesClasses(key), key);
    for (const key of ['state_dict', 'num_classes', 'class_weights', 'optimizer'])
      assert(!namesClasses(key), key);
    for (const file of ['classes.txt', 'my_labels.json', 'obj.names', 'class_to_idx.json'])
      assert(isNamesFile(file), file);
    for (const file of ['config.json', 'README.txt', 'classes.py', 'subclassing.txt'])
      assert(!isNamesFile(file), file);
  });
});
