import assert from 'node:assert/strict';
import { pageHtml } from '../../../../src/editor/pages/pageHtml';

const html = pageHtml({
  nonce: 'bm9uY2U=',
  source: 'https://pages.example',
  address: (file) => `https://pages.example/${file}`,
  name: 'image',
  chunks: ['shared-1.js'],
  title: '<b>cat & "dog"</b>',
  subject: { image: `/w/it's "quoted" <script>.png` },
});

/** Directives of the policy by name. */
const [, content = ''] = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html) ?? [];
const policy = new Map(content.split('; ').map((line) => [line.split(' ')[0], line.split(' ').slice(1)]));

describe('the shell of a page', () => {
  it('allows nothing that is not listed', () => {
    assert.deepEqual(policy.get('default-src'), [`'none'`]);
  });

  it('runs only the script that bears the nonce', () => {
    assert.deepEqual(policy.get('script-src'), [`'nonce-bm9uY2U='`]);
    const scripts = html.match(/<script[^>]*>/g) ?? [];
    assert.deepEqual(scripts, [
      '<script type="module" nonce="bm9uY2U=" src="https://pages.example/image.js">',
    ]);
    assert.match(html, /<script[^>]*><\/script>/);
    assert.match(
      html,
      /<link rel="modulepreload" nonce="bm9uY2U=" href="https:\/\/pages.example\/shared-1.js">/,
    );
  });

  it('reaches no other site', () => {
    const sources = [...policy.values()].flat().filter((source) => /^https?:|^\*/.test(source));
    assert.deepEqual([...new Set(sources)], ['https://pages.example']);
    assert.equal(policy.has('connect-src'), false);
  });

  it('hands over its subject unharmed, whatever the file is called', () => {
    const [, attribute = ''] = /data-subject="([^"]*)"/.exec(html) ?? [];
    const characters: Readonly<Record<string, string>> = {
      '&quot;': '"',
      '&#39;': "'",
      '&lt;': '<',
      '&gt;': '>',
      '&amp;': '&',
    };
    const text = attribute.replaceAll(/&#?\w+;/g, (name) => characters[name] ?? name);
    assert.deepEqual(JSON.parse(text), { image: `/w/it's "quoted" <script>.png` });
    assert.match(html, /<title>&lt;b&gt;cat &amp; &quot;dog&quot;&lt;\/b&gt;<\/title>/);
  });
});
