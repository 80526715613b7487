import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

const rooms = ['src', 'webview', 'media', 'test'];

describe('the files of the project', () => {
  it('have no links that lead out of it or to nothing', () => {
    const links = rooms.flatMap((room) =>
      readdirSync(room, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isSymbolicLink())
        .map((entry) => join(entry.parentPath, entry.name)),
    );
    // The cache of the hub's is one of links.
    assert.ok(links.length > 0);
    for (const link of links) {
      assert.ok(!isAbsolute(readlinkSync(link)), `${link} leads to ${readlinkSync(link)}`);
      assert.ok(existsSync(link), `${link} leads to nothing`);
    }
  });
});
